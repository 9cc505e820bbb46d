"""Folders as people and systems leave them: what is found, passed over, and said."""

import os
import unicodedata
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pandas as pd
import pytest
from commands import Run
from painted import paint_photos

from mushroom.dataset import load_prepared
from mushroom.errors import DatasetError
from mushroom.training.folders import genus_root
from mushroom.training.prepare import BySource, prepare

COLOURS = {"Amanita": (200, 40, 40), "Kuehneromyces mutabilis": (120, 80, 30), "松茸": (230, 150, 60)}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three genera, one of the nine, one with a blank and one in another script; twelve photos each."""
    for genus, colour in COLOURS.items():
        paint_photos(tmp_path / "photos" / genus, colour, 12)
    return tmp_path / "photos"


def test_names_come_from_folders_in_any_script_and_what_is_written_is_read(photos: Path, tmp_path: Path) -> None:
    written = prepare(photos, tmp_path / "out", progress=False)
    read = load_prepared(tmp_path / "out")
    assert read.manifest.equals(written.manifest)
    assert (read.fingerprint, read.root, read.counts) == (written.fingerprint, written.root, written.counts)
    assert read.genera == ("Amanita", "Kuehneromyces mutabilis", "松茸")
    assert set(read.manifest.genus) == set(read.genera)
    assert "松茸" in read.summary()


def test_names_are_stripped_and_composed_and_folders_of_one_name_are_one_genus(photos: Path, tmp_path: Path) -> None:
    paint_photos(photos / "amanita ", (10, 200, 40), 3)
    paint_photos(photos / unicodedata.normalize("NFD", "Pézize"), (10, 20, 240), 3)
    prepared = prepare(photos, tmp_path / "out", progress=False)
    assert prepared.genera == ("Amanita", "Kuehneromyces mutabilis", unicodedata.normalize("NFC", "Pézize"), "松茸")
    assert (prepared.manifest.genus == "Amanita").sum() == 15


def test_what_systems_leave_behind_is_passed_over_and_other_endings_are_counted(photos: Path, tmp_path: Path) -> None:
    for name in ("._0.jpg", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (photos / "Amanita" / name).write_bytes(b"\x00\x05\x16\x07")
    (photos / "__MACOSX" / "Amanita").mkdir(parents=True)
    (photos / "__MACOSX" / "Amanita" / "._0.jpg").write_bytes(b"\x00\x05\x16\x07")
    for name in ("a.psd", "b.psd", "notes"):
        (photos / "Amanita" / name).write_bytes(b"x")
    prepared = prepare(photos, tmp_path / "out", progress=False)
    assert prepared.left_out == []
    assert len(prepared.manifest) == 36
    assert any("3 files in" in note and ".psd 2, none 1" in note for note in prepared.notes)


def test_links_are_followed_and_loops_end(photos: Path, tmp_path: Path) -> None:
    (photos / "Amanita").rename(tmp_path / "elsewhere")
    (photos / "Amanita").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    prepared = prepare(photos, tmp_path / "out", progress=False)
    assert (prepared.manifest.genus == "Amanita").sum() == 12
    assert all(prepared.photo_path(row).is_file() for row in prepared.manifest.to_dict("records"))


def test_folders_of_splits_are_named_in_a_sentence(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "F").mkdir()
    photos.rename(tmp_path / "F" / "train")
    paint_photos(tmp_path / "F" / "test" / "Amanita", (1, 2, 3), 2)
    with pytest.raises(DatasetError, match=r"holds no genus folders but .*F/test, .*F/train: give one of these"):
        prepare(tmp_path / "F", tmp_path / "out", progress=False)


def test_genus_folders_may_hold_folders_of_species(photos: Path) -> None:
    for genus in COLOURS:
        (photos / genus).rename(photos / "moved")
        (photos / genus).mkdir()
        (photos / "moved").rename(photos / genus / "species")
    assert genus_root(photos) == photos
    assert genus_root(photos.parent) == photos


@pytest.mark.parametrize("inside", ["out", "Amanita/out"])
def test_preparing_twice_into_the_folder_of_photos_works(photos: Path, inside: str) -> None:
    first = prepare(photos, photos / inside, progress=False)
    assert prepare(photos, photos / inside, progress=False).fingerprint == first.fingerprint


def test_out_may_not_be_a_file(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DatasetError, match="is a file"):
        prepare(photos, tmp_path / "out", progress=False)
    assert (tmp_path / "out").read_text() == "mine"


def test_odd_names_are_kept_and_those_that_are_no_text_are_left_out(photos: Path, tmp_path: Path) -> None:
    names = [b"=1+1.jpg", b"a\nb.jpg", b"a\rb.jpg", b"\xff\xfe.jpg", b'quo"te, comma.jpg', b"007.jpg", b"NA.jpg"]
    for number, name in enumerate(names):
        (photos / "Amanita" / f"{number}.jpg").rename(os.fsdecode(os.fsencode(photos / "Amanita") + b"/" + name))
    written = prepare(photos, tmp_path / "out", progress=False)
    read = load_prepared(tmp_path / "out")
    assert read.manifest.photo.tolist() == written.manifest.photo.tolist()
    assert all(read.photo_path(row).is_file() for row in read.manifest.to_dict("records"))
    assert (read.manifest.genus == "Amanita").sum() == 9
    assert any("3 files in" in note and "rename them" in note for note in read.notes)


def test_a_split_that_a_manifest_gives_is_kept(photos: Path, tmp_path: Path) -> None:
    rows = [(f"Amanita/{number}.jpg", "validation", "a") for number in range(12)]
    pd.DataFrame(rows, columns=["photo", "split", "source"]).to_csv(photos / "manifest.csv", index=False)
    table = prepare(photos, tmp_path / "out", progress=False).manifest
    assert set(table.split[table.genus == "Amanita"]) == {"validation"}
    assert set(table.source) == {"a", ""}
    pd.DataFrame(rows[:1], columns=["photo", "split", "source"]).assign(split="dev").to_csv(photos / "manifest.csv")
    with pytest.raises(DatasetError, match="names the split 'dev'"):
        prepare(photos, tmp_path / "out", progress=False)


def with_sources(photos: Path, number: int) -> None:
    names = [path.relative_to(photos).as_posix() for path in sorted(photos.rglob("*.jpg"))]
    table = pd.DataFrame({"photo": names, "source": [f"s{index % number}" for index in range(len(names))]})
    table.to_csv(photos / "manifest.csv", index=False)


def test_by_source_keeps_sources_whole_holds_genera_out_and_leaves_copies_out_of_training(
    photos: Path, tmp_path: Path
) -> None:
    with_sources(photos, 9)
    others = tmp_path / "others"
    for number in range(24):
        paint_photos(others / f"Genus {number}", (9 * number, 250 - 5 * number, 100), 3)
    paint_photos(others / "By_eye", (70, 71, 72), 4)
    with_sources(others, 9)
    by_source = BySource(["s0"], [("s1", "s2")])
    prepared = prepare(photos, tmp_path / "out", backgrounds=[others], by_source=by_source, progress=False)
    assert prepared.background is not None
    both = pd.concat([prepared.manifest, prepared.background])
    splits = both.groupby("source").split.unique()
    assert all(len(split) == 1 for split in splits)
    assert splits["s0"][0] == "train"
    assert splits["s1"][0] == splits["s2"][0]
    assert set(prepared.manifest.split) == {"train", "validation", "test"}
    trained = set(prepared.background.genus[prepared.background.split == "train"])
    held = [note for note in prepared.notes if "in no training" in note]
    assert len(held) == 1
    assert set(prepared.background.genus) - trained
    assert "" in set(prepared.background.genus)
    assert "| s0 |" in (tmp_path / "out" / "split.md").read_text()


def test_a_copy_of_a_measured_photo_leaves_the_training_of_a_source_that_must_train(
    photos: Path, tmp_path: Path
) -> None:
    with_sources(photos, 9)
    for number in range(12):
        copy = photos / "Amanita" / f"copy{number}.jpg"
        copy.write_bytes((photos / "Amanita" / f"{number}.jpg").read_bytes())
    table = pd.read_csv(photos / "manifest.csv")
    copies = pd.DataFrame({"photo": [f"Amanita/copy{number}.jpg" for number in range(12)], "source": "copied"})
    pd.concat([table, copies]).to_csv(photos / "manifest.csv", index=False)
    prepared = prepare(photos, tmp_path / "out", by_source=BySource(["copied"]), progress=False)
    assert (prepared.manifest.groupby("group").split.nunique() == 1).all()
    measured = prepared.manifest[(prepared.manifest.split != "train") & (prepared.manifest.genus == "Amanita")]
    assert len(measured)
    assert sum("copy of a photo" in entry["reason"] for entry in prepared.left_out) == len(measured)


def test_by_source_without_sources_ends_with_a_sentence(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No source is known"):
        prepare(photos, tmp_path / "out", by_source=BySource(), progress=False)
    with_sources(photos, 4)
    with pytest.raises(DatasetError, match="No photo is of the source nobody"):
        prepare(photos, tmp_path / "out", by_source=BySource(same=[("s1", "nobody")]), progress=False)


def test_corrections_overrule_folders(photos: Path, tmp_path: Path) -> None:
    (photos / "Amanita" / "0.jpg").rename(photos / "Amanita" / "=odd.jpg")
    (photos / "flat.jpg").write_bytes((photos / "Amanita" / "5.jpg").read_bytes())
    corrections = tmp_path / "corrections.csv"
    corrections.write_text(
        "\ufeffphoto,genus\n'=odd.jpg,松茸\nAmanita/1.jpg,none\nflat.jpg,amanita\ngone.jpg,Amanita\n", encoding="utf-8"
    )
    prepared = prepare(photos, tmp_path / "out", corrections=corrections, progress=False)
    genus = prepared.manifest.set_index("photo").genus
    assert genus["Amanita/=odd.jpg"] == "松茸"
    assert "Amanita/1.jpg" not in genus
    assert genus["flat.jpg"] == "Amanita"
    assert any("gone.jpg, which is not here" in note for note in prepared.notes)


def test_corrections_alone_name_photos_of_a_flat_folder(tmp_path: Path) -> None:
    paint_photos(tmp_path / "class", (200, 40, 40), 6)
    rows = "".join(f"{number}.jpg,{'Amanita' if number % 2 else 'Tricholoma'}\n" for number in range(6))
    (tmp_path / "corrections.csv").write_text("photo,genus\n" + rows)
    prepared = prepare(tmp_path / "class", tmp_path / "out", corrections=tmp_path / "corrections.csv", progress=False)
    assert prepared.genera == ("Amanita", "Tricholoma")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("photo,name\na.jpg,b\n", "can't be read as a table"),
        ("", "can't be read as a table"),
        ("photo,genus\na.jpg,Amanita\na.jpg,Boletus\n", "names a.jpg twice"),
        ("photo,genus\n1.jpg,Amanita\n", "there are 3"),
        ("photo,genus\nAmanita/1.jpg,Amannita\n", "genus Amannita, of which there is no folder"),
    ],
)
def test_corrections_that_make_no_sense_end_with_a_sentence(
    photos: Path, tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(DatasetError, match=sentence):
        prepare(photos, tmp_path / "out", corrections=tmp_path / "c.csv", progress=False)


@pytest.mark.parametrize(
    ("step", "real", "number"), [("os.replace", os.replace, 2), ("pathlib.Path.unlink", Path.unlink, 1)]
)
def test_a_failure_while_files_are_put_in_place_leaves_the_old_folder(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, real: Callable[..., object], number: int
) -> None:
    calls = count(1)

    def failing_once(*arguments: object, **options: object) -> object:
        if next(calls) == number:
            raise OSError(28, "full")
        return real(*arguments, **options)

    others = tmp_path / "others"
    paint_photos(others / "Tricholoma", (9, 9, 100), 4)
    out = tmp_path / "out"
    prepare(photos, out, backgrounds=[others], progress=False)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr(step, failing_once)
        with pytest.raises(OSError, match="full"):
            prepare(photos, out, seed=1, progress=False)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["others", "out", "photos"]
    load_prepared(out)


def test_the_command_says_that_train_sources_need_by_source(run: Run, photos: Path, tmp_path: Path) -> None:
    assert "add --by-source" in run("prepare", photos, "--out", tmp_path / "out", "--train-sources", "a").refusal
