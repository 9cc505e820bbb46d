"""``predictions.csv``: what a network answered for every prepared photo, a row a photo.

Columns: ``photo``, ``kind`` (``known``, or the folder of photos that are none of the genera), ``split``, ``genus`` (the
true one; of a photo of another kind the name that its source gives it, or empty), ``source``, where known
``species``, of a network that knows other genera by name ``unknown_score`` and ``other_genus`` (the likeliest of them),
and then a logit for each genus, in the network's order. Of training photos only some are answered: the others have
blanks instead, and say what was learned from.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mushroom.calibration import energy, probabilities
from mushroom.errors import CheckpointError

KNOWN = "known"
"""The kind of a photo of one of the genera; every other kind is named after its folder of background photos."""

PREDICTION_COLUMNS = ("photo", "kind", "split", "genus", "source")
OPTIONAL_COLUMNS = ("species", "unknown_score", "other_genus")
TEXT_COLUMNS = (*PREDICTION_COLUMNS, "species", "other_genus")

TURNED_AWAY = -1
"""What a visitor is told, as a class index, where the photo looks like none of the genera."""


@dataclass(frozen=True)
class Predictions:
    """What a network answered, a row a photo: string arrays (n,) and ``logits``, float32 (n, genera).

    ``unknown_score`` is float64 (n,); the higher, the less a photo looks like any of the genera. The logits of a
    photo that was not answered are no numbers.
    """

    photo: np.ndarray
    kind: np.ndarray
    split: np.ndarray
    genus: np.ndarray
    source: np.ndarray
    species: np.ndarray
    other_genus: np.ndarray
    unknown_score: np.ndarray
    logits: np.ndarray
    genera: tuple[str, ...]

    def rows(self, chosen: np.ndarray) -> "Predictions":
        """The rows where ``chosen``, bool (n,), is true."""
        names = (*PREDICTION_COLUMNS, *OPTIONAL_COLUMNS, "logits")
        return Predictions(genera=self.genera, **{name: getattr(self, name)[chosen] for name in names})

    def where(self, kind: str, split: str) -> "Predictions":
        """The answered rows of one kind and one split."""
        return self.rows((self.kind == kind) & (self.split == split) & self.answered)

    @property
    def answered(self) -> np.ndarray:
        """Whether the network answered the photo, bool (n,)."""
        return np.isfinite(self.logits).all(axis=1)

    @property
    def labels(self) -> np.ndarray:
        """Class indices (n,) of known photos."""
        index = {genus: i for i, genus in enumerate(self.genera)}
        return np.array([index[genus] for genus in self.genus], dtype=int)

    @property
    def most_probable(self) -> np.ndarray:
        """Class indices (n,) of the most probable genus, whether or not a visitor is told it."""
        return self.logits.argmax(axis=1)

    def answers(self, threshold: float | None) -> np.ndarray:
        """What a visitor is told: class indices (n,), ``TURNED_AWAY`` where the unknown score exceeds ``threshold``.

        In reports, on pages and in the track record what is told is right where it is the true genus: a known photo
        that is turned away is not told right.
        """
        if threshold is None:
            return self.most_probable
        return np.where(self.unknown_score > threshold, TURNED_AWAY, self.most_probable)

    def probabilities(self, temperature: float) -> np.ndarray:
        """Calibrated probabilities (n, genera)."""
        return probabilities(self.logits, temperature)

    def __len__(self) -> int:
        return len(self.photo)


def predictions_csv(predictions: Predictions) -> str:
    """The text of ``predictions.csv``; optional columns only where they say something."""
    columns = {name: getattr(predictions, name) for name in PREDICTION_COLUMNS}
    if (predictions.species != "").any():
        columns["species"] = predictions.species
    if (predictions.other_genus != "").any():
        columns["unknown_score"] = [_number(score) for score in predictions.unknown_score]
        columns["other_genus"] = predictions.other_genus
    texts = pd.DataFrame(columns)
    logits = pd.DataFrame(predictions.logits, columns=list(predictions.genera)).map(_number)
    return pd.concat([texts, logits], axis=1).to_csv(index=False, lineterminator="\n")


def _number(value: float) -> str:
    """A logit or a score for the file: blank where there is none."""
    return f"{value:.5f}" if np.isfinite(value) else ""


def read_predictions(path: Path) -> Predictions:
    """``predictions.csv`` of a checkpoint folder. Raises CheckpointError where it is not such a table."""
    try:
        # By position, not by name: a genus may be called as a column is.
        table = pd.read_csv(path, header=None, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path.name} can't be read: evaluate the checkpoint again.") from error
    header, table = table.iloc[0].tolist(), table.iloc[1:]
    if tuple(header[: len(PREDICTION_COLUMNS)]) != PREDICTION_COLUMNS:
        raise CheckpointError(f"{path.name} does not begin with the columns {', '.join(PREDICTION_COLUMNS)}.")
    place = len(PREDICTION_COLUMNS)
    for name in OPTIONAL_COLUMNS:
        place += header[place : place + 1] == [name]
    columns = {name: table[number] for number, name in enumerate(header[:place])}
    genera = tuple(header[place:])
    try:
        logits = _numbers(table.iloc[:, place:]).astype(np.float32)
        scores = _numbers(columns["unknown_score"]) if "unknown_score" in columns else energy(logits)
    except ValueError as error:
        raise CheckpointError(f"{path.name} holds a logit that is no number: evaluate the checkpoint again.") from error
    blanks = pd.Series("", table.index)
    texts = {name: columns.get(name, blanks).to_numpy(dtype=str) for name in TEXT_COLUMNS}
    blank = (texts["split"] == "train") & np.isnan(logits).all(axis=1)
    finite = np.isfinite(logits).all(axis=1) & np.isfinite(scores)
    if not (finite | blank).all() or not np.isin(texts["genus"][texts["kind"] == KNOWN], genera).all():
        raise CheckpointError(f"{path.name} holds rows that can't be read: evaluate the checkpoint again.")
    return Predictions(logits=logits, genera=genera, unknown_score=scores, **texts)


def _numbers(cells: pd.DataFrame | pd.Series) -> np.ndarray:
    """The numbers of texts, none where they are blank; ValueError where a text is no number."""
    return cells.replace("", "nan").to_numpy(np.float64)
