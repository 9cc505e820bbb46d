"""A prepared folder as it is read: what was changed, lacks or makes no sense ends with a sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from painted import PAINTED, paint_photos

from mushroom.dataset import Prepared, fingerprint, load_prepared
from mushroom.errors import DatasetError
from mushroom.genera import GENERA
from mushroom.training.prepare import prepare


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for genus, colour in PAINTED.items():
        paint_photos(tmp_path / "photos" / genus, colour, 8)
    paint_photos(tmp_path / "others" / "Tricholoma", (90, 90, 20), 4)
    prepare(tmp_path / "photos", tmp_path / "out", backgrounds=[tmp_path / "others"], progress=False)
    return tmp_path / "out"


def change_facts(folder: Path, **changed: Any) -> None:
    path = folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "dataset.json").unlink(), "has no dataset.json"),
        (lambda folder: (folder / "dataset.json").write_text('{"root": '), "dataset.json can't be read"),
        (lambda folder: (folder / "dataset.json").write_bytes(b"\xff\xfe\x00"), "dataset.json can't be read"),
        (lambda folder: (folder / "dataset.json").write_text("[" * 100_000), "dataset.json can't be read"),
        (lambda folder: (folder / "dataset.json").write_text("[]"), "holds no facts"),
        (lambda folder: (folder / "dataset.json").write_text("{}"), "lacks root"),
        (lambda folder: change_facts(folder, fingerprint=None), "lacks fingerprint"),
        (lambda folder: change_facts(folder, genera=["Amanita", 7]), "no text"),
        (lambda folder: change_facts(folder, genera=["Amanita"]), "does not know the genus Boletus"),
        (lambda folder: change_facts(folder, background_roots={"strangers": "x"}), "where all background"),
        (lambda folder: change_facts(folder, format=99), "newer version"),
        (lambda folder: (folder / "manifest.csv").unlink(), "has no manifest.csv"),
        (lambda folder: (folder / "background.csv").unlink(), "has no background.csv"),
        (lambda folder: (folder / "manifest.csv").write_text(""), "can't be read"),
        (lambda folder: (folder / "manifest.csv").write_text("photo,genus\na,b\n"), "no column split"),
    ],
)
def test_a_spoilt_folder_ends_with_a_sentence(folder: Path, spoil: Callable[[Path], object], sentence: str) -> None:
    spoil(folder)
    with pytest.raises(DatasetError, match=sentence):
        load_prepared(folder)


@pytest.mark.parametrize(("old", "new"), [(",test,", ",train,"), (",Amanita,", ",Boletus,")])
def test_a_changed_table_is_refused_by_its_fingerprint(folder: Path, old: str, new: str) -> None:
    path = folder / "manifest.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DatasetError, match="changed since prepare"):
        load_prepared(folder)


@pytest.mark.parametrize("photo", ["../outside.jpg", "/etc/passwd"])
@pytest.mark.parametrize("name", ["manifest.csv", "background.csv"])
def test_a_table_that_points_out_of_its_folder_is_refused(folder: Path, name: str, photo: str) -> None:
    table = pd.read_csv(folder / name, keep_default_na=False)
    table.loc[0, "photo"] = photo
    table.to_csv(folder / name, index=False)
    tables = [pd.read_csv(folder / file, keep_default_na=False) for file in ("manifest.csv", "background.csv")]
    change_facts(folder, fingerprint=fingerprint(*tables))
    with pytest.raises(DatasetError, match="outside its folder"):
        load_prepared(folder)


def test_a_folder_of_the_first_format_reads_as_nine_genera(folder: Path) -> None:
    """Its fingerprint leaves out the genus, and its background has labels."""
    facts = json.loads((folder / "dataset.json").read_text())
    tables = [pd.read_csv(folder / file, keep_default_na=False) for file in ("manifest.csv", "background.csv")]
    tables[1].rename(columns={"genus": "label"}).to_csv(folder / "background.csv", index=False)
    facts = {name: value for name, value in facts.items() if name not in ("genera", "format")}
    facts["fingerprint"] = fingerprint(*tables, form=1)
    (folder / "dataset.json").write_text(json.dumps(facts))
    prepared = load_prepared(folder)
    assert prepared.genera == GENERA
    assert prepared.background is not None
    assert set(prepared.background.genus) == {"Tricholoma"}


def test_training_asks_for_photos_before_it_starts(folder: Path) -> None:
    prepared = load_prepared(folder)
    prepared.require_trainable()

    def of(genera: dict[str, int]) -> Prepared:
        rows = [(genus, f"{genus}{number}") for genus, count in genera.items() for number in range(count)]
        table = pd.DataFrame(rows, columns=["genus", "group"]).assign(split="train")
        return Prepared(folder, table, None, folder, {}, "", tuple(genera))

    with pytest.raises(DatasetError, match="Boletus has 2 photos that look different, 2 of them in training: it needs"):
        of({"Amanita": 5, "Boletus": 2}).require_trainable()
    with pytest.raises(DatasetError, match="one genus only, Amanita"):
        of({"Amanita": 5}).require_trainable()
    with pytest.raises(DatasetError, match="no photos in the split validation"):
        of({"Amanita": 5, "Boletus": 5}).require_trainable()
