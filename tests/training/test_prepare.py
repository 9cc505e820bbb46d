"""Preparing photos: what is found, left out, grouped, split, and written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from mushroom.dataset import load_prepared
from mushroom.errors import DatasetError
from mushroom.training.duplicates import group_photos, near_duplicate_pairs
from mushroom.training.prepare import KAGGLE_NINE_GENERA, prepare
from mushroom.training.splits import GENUS_SHARES, split_groups


def picture(seed: int, size: tuple[int, int] = (96, 72)) -> Image.Image:
    """A blotchy picture unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 255, (7, 9, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Forty photos of Amanita, twenty of Boletus, four of Cortinarius, two of Hygrocybe."""
    root = tmp_path / "photos"
    seed = 0
    for genus, count in (("Amanita", 40), ("Boletus", 20), ("Cortinarius", 4), ("Hygrocybe", 2)):
        (root / genus).mkdir(parents=True)
        for index in range(count):
            picture(seed).save(root / genus / f"{index:02}.jpg", quality=95)
            seed += 1
    return root


def test_each_genus_is_split_by_the_promised_shares(photos: Path, tmp_path: Path) -> None:
    counts = prepare(photos, tmp_path / "out", progress=False).counts
    assert [counts[split]["Amanita"] for split in GENUS_SHARES] == [26, 8, 6]
    assert [counts[split]["Boletus"] for split in GENUS_SHARES] == [13, 4, 3]


def test_a_tiny_genus_trains_first_then_tests_then_validates(photos: Path, tmp_path: Path) -> None:
    counts = prepare(photos, tmp_path / "out", progress=False).counts
    assert [counts[split]["Cortinarius"] for split in ("train", "test", "validation")] == [2, 1, 1]
    assert [counts[split]["Hygrocybe"] for split in ("train", "test", "validation")] == [1, 1, 0]


def test_the_same_seed_gives_the_same_split_and_another_seed_another(photos: Path, tmp_path: Path) -> None:
    first = prepare(photos, tmp_path / "a", progress=False)
    moved = tmp_path / "moved"
    shutil.copytree(photos, moved)
    again = prepare(moved, tmp_path / "b", progress=False)
    other = prepare(photos, tmp_path / "c", seed=1, progress=False)
    assert again.manifest.equals(first.manifest)
    assert again.fingerprint == first.fingerprint
    assert other.fingerprint != first.fingerprint


def test_near_duplicates_share_a_group_and_a_split(photos: Path, tmp_path: Path) -> None:
    original = Image.open(photos / "Amanita" / "00.jpg")
    original.resize((60, 45)).save(photos / "Amanita" / "smaller.png")
    ImageEnhance.Brightness(original).enhance(1.05).save(photos / "Amanita" / "brighter.jpg", quality=40)
    shutil.copy(photos / "Amanita" / "01.jpg", photos / "Amanita" / "copy.jpg")
    table = prepare(photos, tmp_path / "out", progress=False).manifest.set_index("photo")
    same = table.loc[["Amanita/00.jpg", "Amanita/smaller.png", "Amanita/brighter.jpg"]]
    assert same.group.nunique() == 1
    assert table.loc["Amanita/01.jpg", "group"] == table.loc["Amanita/copy.jpg", "group"]
    assert table.group.nunique() == 66
    assert (table.groupby("group").split.nunique() == 1).all()


def test_the_same_photo_under_two_genera_is_noted_and_kept_in_one_split(photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "Amanita" / "00.jpg", photos / "Boletus" / "amanita.jpg")
    prepared = prepare(photos, tmp_path / "out", progress=False)
    table = prepared.manifest.set_index("photo")
    assert table.loc["Amanita/00.jpg", "split"] == table.loc["Boletus/amanita.jpg", "split"]
    assert any("look the same" in note for note in prepared.notes)


def test_no_group_straddles_splits_however_the_groups_fall() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "photo": [f"{index}.jpg" for index in range(500)],
            "genus": random.choice(["Amanita", "Boletus", "Suillus"], 500),
            "group": [f"g{number}" for number in random.integers(0, 200, 500)],
        }
    )
    table["split"] = split_groups(table, "genus", seed=3)
    assert (table.groupby("group").split.nunique() == 1).all()
    shares = table.split.value_counts(normalize=True)
    assert all(abs(shares[split] - share) < 0.05 for split, share in GENUS_SHARES.items())


def test_grouping_compares_every_pair_of_hashes() -> None:
    table = pd.DataFrame(
        {
            "photo": list("abcd"),
            "genus": ["Amanita"] * 4,
            "sha256": [letter * 64 for letter in "abcd"],
            "phash": [0, 0b111, 0xFFFF_FFFF_FFFF_FFFF, 0b111_1110],
        }
    )
    groups, notes = group_photos(table, "genus", near_duplicate_pairs(table))
    assert groups == ["a" * 12, "a" * 12, "c" * 12, "a" * 12]
    assert notes == []


def test_unreadable_photos_are_listed_with_a_reason_and_left_out(photos: Path, tmp_path: Path) -> None:
    whole = (photos / "Amanita" / "00.jpg").read_bytes()
    (photos / "Amanita" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "Boletus" / "text.png").write_text("no photo")
    prepared = prepare(photos, tmp_path / "out", progress=False)
    assert [entry["photo"] for entry in prepared.left_out] == ["Amanita/cut.jpg", "Boletus/text.png"]
    assert all(entry["reason"].endswith(".") for entry in prepared.left_out)
    assert "left out: Amanita/cut.jpg" in prepared.summary()
    assert len(prepared.manifest) == 66


def test_background_species_are_held_back_whole(photos: Path, tmp_path: Path) -> None:
    seed = 1000
    for species in range(10):
        (tmp_path / "other_fungi" / f"s{species}").mkdir(parents=True)
        for index in range(3):
            picture(seed).save(tmp_path / "other_fungi" / f"s{species}" / f"{index}.jpg")
            seed += 1
    (tmp_path / "not_fungi").mkdir()
    for index in range(10):
        picture(seed + index).save(tmp_path / "not_fungi" / f"{index}.jpg")
    kinds = [tmp_path / "other_fungi", tmp_path / "not_fungi"]
    background = prepare(photos, tmp_path / "out", backgrounds=kinds, progress=False).background
    assert background is not None
    species_splits = background[background.kind == "other_fungi"].groupby("genus").split
    assert (species_splits.nunique() == 1).all()
    assert species_splits.first().value_counts().to_dict() == {"train": 5, "validation": 2, "test": 3}
    flat = background[background.kind == "not_fungi"].split.value_counts().to_dict()
    assert flat == {"train": 5, "validation": 2, "test": 3}


def test_a_prepared_folder_reads_back_as_it_was_and_finds_its_photos(photos: Path, tmp_path: Path) -> None:
    written = prepare(photos, tmp_path / "out", progress=False)
    read = load_prepared(tmp_path / "out")
    assert read.manifest.equals(written.manifest)
    assert (read.fingerprint, read.root, read.counts) == (written.fingerprint, written.root, written.counts)
    assert all(read.photo_path(row).is_file() for row in read.manifest.to_dict("records"))


def test_genus_folders_may_lie_one_folder_down_and_in_any_capitals(photos: Path, tmp_path: Path) -> None:
    (photos / "Amanita").rename(photos / "amanita-temporary")
    (photos / "amanita-temporary").rename(photos / "AMANITA")
    outer = tmp_path / "download"
    outer.mkdir()
    photos.rename(outer / "Mushrooms")
    prepared = prepare(outer, tmp_path / "out", progress=False)
    assert set(prepared.manifest.genus) == {"Amanita", "Boletus", "Cortinarius", "Hygrocybe"}
    assert prepared.genera == ("Amanita", "Boletus", "Cortinarius", "Hygrocybe")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda root: (root / "Suillus").mkdir(), "holds no photos"),
        (lambda root: shutil.rmtree(root), "no folder"),
        (lambda root: [shutil.rmtree(folder) for folder in root.iterdir()], "no genus folders"),
    ],
)
def test_folders_that_make_no_sense_end_with_a_sentence_and_nothing_written(
    photos: Path, tmp_path: Path, spoil: Callable[[Path], object], sentence: str
) -> None:
    spoil(photos)
    with pytest.raises(DatasetError, match=sentence):
        prepare(photos, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_a_failure_while_writing_leaves_nothing_half_written(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dumps", full_disk)
    with pytest.raises(OSError, match="No space"):
        prepare(photos, tmp_path / "out", progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


@pytest.mark.parametrize("source", [KAGGLE_NINE_GENERA, "hf://datasets/somebody/mushrooms"])
def test_no_network_ends_with_a_sentence(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr("kagglehub.dataset_download", unreachable)
    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    with pytest.raises(DatasetError, match=r"can't be downloaded .* check the name, the network"):
        prepare(source, tmp_path / "out", progress=False)


@pytest.mark.parametrize("source", [KAGGLE_NINE_GENERA, "hf://datasets/somebody/mushrooms"])
def test_a_downloaded_dataset_is_prepared_like_a_folder(
    source: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kagglehub.dataset_download", lambda name: str(photos))
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, repo_type: str(photos))
    assert len(prepare(source, tmp_path / "out", progress=False).manifest) == 66


@pytest.mark.photos
@pytest.mark.slow
def test_the_real_photos_are_prepared_without_a_leak(mushroom_data: Path, tmp_path: Path) -> None:
    prepared = prepare(mushroom_data, tmp_path / "out", progress=False)
    assert len(prepared.manifest) > 3500
    groups = prepared.manifest.groupby("group").split.nunique()
    assert (groups == 1).mean() > 0.99, prepared.notes
    assert "source" in prepared.manifest
