"""A prepared folder is written whole or not at all, with a table of who is in which split."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import pandas as pd

from mushroom.dataset import BACKGROUND_FILE, DATASET_FILE, FORMAT, MANIFEST_FILE, SPLITS, TABLE_ENCODING, Prepared

SPLIT_FILE = "split.md"
FILES = (MANIFEST_FILE, BACKGROUND_FILE, SPLIT_FILE, DATASET_FILE)
"""In the order in which they are put in place: ``dataset.json`` vouches for the others, and comes last."""


def write_prepared(prepared: Prepared, seed: int) -> None:
    """All files into a folder beside the goal, then each into its place; a failure leaves what was there before."""
    out = prepared.folder
    out.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "format": FORMAT,
        "genera": list(prepared.genera),
        "root": _relative_inside(prepared.root, out),
        "background_roots": {kind: _relative_inside(root, out) for kind, root in prepared.background_roots.items()},
        "seed": seed,
        "counts": prepared.counts,
        "left_out": list(prepared.left_out),
        "notes": list(prepared.notes),
        "fingerprint": prepared.fingerprint,
    }
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as partial:
        new, old = Path(partial, "new"), Path(partial, "old")
        new.mkdir()
        old.mkdir()
        prepared.manifest.to_csv(new / MANIFEST_FILE, index=False, **TABLE_ENCODING)
        if prepared.background is not None:
            prepared.background.to_csv(new / BACKGROUND_FILE, index=False, **TABLE_ENCODING)
        (new / SPLIT_FILE).write_text(split_table(prepared), **TABLE_ENCODING)
        (new / DATASET_FILE).write_text(json.dumps(facts, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        created = not out.exists()
        out.mkdir(exist_ok=True)
        try:
            for name in FILES:
                if (out / name).exists():
                    shutil.copy2(out / name, old / name)
            for name in FILES:
                if (new / name).exists():
                    os.replace(new / name, out / name)
            if prepared.background is None:
                (out / BACKGROUND_FILE).unlink(missing_ok=True)
        except BaseException:
            for name in FILES:
                (out / name).unlink(missing_ok=True)
                if (old / name).exists():
                    shutil.move(old / name, out / name)
            if created:
                out.rmdir()
            raise


def split_table(prepared: Prepared) -> str:
    """Photos a source, split and genus, as a Markdown table; sources in order of size within their split."""
    known = prepared.manifest
    names = list(prepared.genera)
    photos = known.assign(column=known.genus)
    if prepared.background is not None:
        photos = pd.concat([photos, prepared.background.assign(column=prepared.background.kind)], ignore_index=True)
        names += prepared.background_roots
    if "source" not in photos:
        photos["source"] = ""
    photos["source"] = photos.source.fillna("").replace("", "(unknown)")
    lines = [f"| split | source | {' | '.join(names)} | all |", "| --- | --- |" + " ---: |" * (len(names) + 1)]
    for split in SPLITS:
        rows = photos[photos.split == split]
        table = pd.crosstab(rows.source, rows.column).reindex(columns=names, fill_value=0)
        table["all"] = table.sum(axis=1)
        table = table.sort_values("all", ascending=False, kind="stable")
        lines.append(_line(split, f"**{len(table)} sources**", table.sum()))
        lines += [_line(split, source, numbers) for source, numbers in table.iterrows()]
    return "\n".join(lines) + "\n"


def _line(split: str, source: object, numbers: pd.Series) -> str:
    cells = [str(number) if number else "" for number in numbers.astype(int)]
    return f"| {split} | {str(source).replace('|', chr(92) + '|')} | {' | '.join(cells)} |"


def _relative_inside(place: Path, folder: Path) -> str:
    """``place`` as seen from ``folder`` where it lies inside, so that both can be moved together; else absolute."""
    place, folder = place.resolve(), folder.resolve()
    return place.relative_to(folder).as_posix() if place.is_relative_to(folder) else str(place)
