"""That is wrong, it is …: the visitor names it, sees what speaks for both names, and takes the correction home.

Nothing is stored on the server: corrections live in the session, and leave it as files.
"""

import csv
import io
import json
import zipfile
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING

import streamlit as st
from PIL import Image

from mushroom.app import heatmap_grid, predictions, url_state
from mushroom.app.subject import Subject
from mushroom.app.viewer import chosen_layer
from mushroom.texts import SAFETY

if TYPE_CHECKING:
    from mushroom.classifier import Classifier, Explanation

NONE = "none"
"""What a table of corrections that ``prepare`` takes calls a photo of none of the genera."""


@dataclass(frozen=True)
class Correction:
    """What the network said of a photo, and what the visitor says it is. ``photo`` is the file's name."""

    photo: str
    photo_sha256: str
    answer: str
    confidence: float
    unknown: bool
    genus: str
    model: str
    weights_sha256: str


def show(subject: Subject, photo: Image.Image, explanation: "Explanation", classifier: "Classifier") -> None:
    """The list to name it from, both heatmaps, and the files. ``photo`` is what the network saw."""
    answer = explanation.prediction.genus
    st.caption("You know it better? Nothing is stored here: what you say leaves with you, as a file.")
    names = [*(name for name in classifier.genera if name != answer), NONE]
    genus = url_state.choice("correction", names, None, what=classifier.config.rank)
    st.selectbox(
        "That is wrong, it is …",
        names,
        index=None,
        placeholder="Choose a name",
        format_func=lambda name: "None of these" if name == NONE else name,
        width=320,
        **url_state.widget("correction", genus),
    )
    if genus is None:
        return
    correction = corrected(subject, explanation, classifier, genus)
    if genus != NONE:
        both = (explanation.prediction.genus, genus)
        found = [predictions.explain(classifier, subject, name, None, explanation.method) for name in both]
        heatmap_grid.show_beside(photo, chosen_layer(explanation).name, found)
    gathered: dict[str, Correction] = st.session_state.setdefault("corrections", {})
    gathered[subject.sha256] = correction
    with st.container(horizontal=True):
        st.download_button(
            "This photo and the correction (ZIP)",
            partial(bundle, subject, correction),
            f"correction-{subject.sha256[:8]}.zip",
            "application/zip",
            icon=":material/folder_zip:",
            on_click="ignore",
        )
        st.download_button(
            f"All corrections of this session (CSV, {len(gathered)})",
            corrections_csv(list(gathered.values())),
            "corrections.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
        )
    st.caption("With the photos in their folder: `python train.py prepare FOLDER --corrections corrections.csv`.")


def corrected(subject: Subject, explanation: "Explanation", classifier: "Classifier", genus: str) -> Correction:
    """The correction of the network's answer for ``subject`` to ``genus``."""
    prediction = explanation.prediction
    return Correction(
        photo=subject.title if subject.origin != "drawing" else f"{subject.title}.png",
        photo_sha256=subject.sha256,
        answer=prediction.genus,
        confidence=round(prediction.confidence, 4),
        unknown=prediction.unknown,
        genus=genus,
        model=classifier.config.name,
        weights_sha256=classifier.weights_sha256,
    )


def corrections_csv(corrections: list[Correction]) -> str:
    """The table of corrections that ``prepare --corrections`` takes; a row a photo."""
    from mushroom.table import BYTE_ORDER_MARK, guarded

    text = io.StringIO()
    text.write(BYTE_ORDER_MARK)
    writer = csv.DictWriter(text, list(asdict(corrections[0])))
    writer.writeheader()
    for correction in corrections:
        writer.writerow(asdict(correction) | {"photo": guarded(correction.photo)})
    return text.getvalue()


def bundle(subject: Subject, correction: Correction) -> bytes:
    """The photo as it was given, and what was said of it, as a ZIP file."""
    data = subject.source if isinstance(subject.source, bytes) else subject.source.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(PurePath(correction.photo.replace("\\", "/")).name or "photo", data)
        said = asdict(correction) | {"crop_percent": subject.crop.text if subject.crop else None, "safety": SAFETY}
        archive.writestr("correction.json", json.dumps(said, indent=1, ensure_ascii=False, allow_nan=False))
        archive.writestr("corrections.csv", corrections_csv([correction]))
    return buffer.getvalue()
