"""Preparing photos: what is found, left out, grouped, split, and written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from mushroom.dataset import SPLITS
from mushroom.errors import DatasetError
from mushroom.training.duplicates import group_photos, near_duplicate_pairs
from mushroom.training.prepare import KAGGLE_NINE_GENERA, prepare


def picture(seed: int, size: tuple[int, int] = (96, 72)) -> Image.Image:
    """A blotchy picture unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 255, (7, 9, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def save_pictures(folder: Path, seeds: range) -> None:
    folder.mkdir(parents=True)
    for number, seed in enumerate(seeds):
        picture(seed).save(folder / f"{number:02}.jpg", quality=95)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Forty photos of Amanita, twenty of Boletus, four of Cortinarius, two of Hygrocybe."""
    save_pictures(tmp_path / "photos" / "Amanita", range(40))
    save_pictures(tmp_path / "photos" / "Boletus", range(40, 60))
    save_pictures(tmp_path / "photos" / "Cortinarius", range(60, 64))
    save_pictures(tmp_path / "photos" / "Hygrocybe", range(64, 66))
    return tmp_path / "photos"


def test_each_genus_is_split_by_the_promised_shares_and_a_tiny_one_trains_then_tests(
    photos: Path, tmp_path: Path
) -> None:
    counts = prepare(photos, tmp_path / "out", progress=False).counts
    assert [list(counts[split].values()) for split in SPLITS] == [[26, 13, 2, 1], [8, 4, 1, 0], [6, 3, 1, 1]]


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
    shutil.copy(photos / "Amanita" / "02.jpg", photos / "Boletus" / "amanita.jpg")
    prepared = prepare(photos, tmp_path / "out", progress=False)
    table = prepared.manifest.set_index("photo")
    same = table.loc[["Amanita/00.jpg", "Amanita/smaller.png", "Amanita/brighter.jpg"]]
    assert same.group.nunique() == 1
    assert table.loc["Amanita/01.jpg", "group"] == table.loc["Amanita/copy.jpg", "group"]
    assert table.loc["Amanita/02.jpg", "group"] == table.loc["Boletus/amanita.jpg", "group"]
    assert table.group.nunique() == 66
    assert (table.groupby("group").split.nunique() == 1).all()
    assert any("look the same" in note for note in prepared.notes)


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
    for species in range(10):
        save_pictures(tmp_path / "other_fungi" / f"s{species}", range(1000 + 3 * species, 1003 + 3 * species))
    save_pictures(tmp_path / "not_fungi", range(1030, 1040))
    kinds = [tmp_path / "other_fungi", tmp_path / "not_fungi"]
    background = prepare(photos, tmp_path / "out", backgrounds=kinds, progress=False).background
    assert background is not None
    species_splits = background[background.kind == "other_fungi"].groupby("genus").split
    assert (species_splits.nunique() == 1).all()
    assert species_splits.first().value_counts().to_dict() == {"train": 5, "validation": 2, "test": 3}
    flat = background[background.kind == "not_fungi"].split.value_counts().to_dict()
    assert flat == {"train": 5, "validation": 2, "test": 3}


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
    monkeypatch.setattr(json, "dumps", Mock(side_effect=OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        prepare(photos, tmp_path / "out", progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


@pytest.mark.parametrize("source", [KAGGLE_NINE_GENERA, "hf://datasets/somebody/mushrooms"])
def test_a_dataset_is_downloaded_and_prepared_like_a_folder_and_no_network_ends_with_a_sentence(
    source: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = Mock(side_effect=[ConnectionError("no route to host"), str(photos)])
    monkeypatch.setattr("kagglehub.dataset_download", download)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(DatasetError, match=r"can't be downloaded .* check the name, the network"):
        prepare(source, tmp_path / "out", progress=False)
    assert len(prepare(source, tmp_path / "out", progress=False).manifest) == 66
    assert download.call_args.kwargs == ({"repo_type": "dataset"} if source.startswith("hf://") else {})


@pytest.mark.photos
@pytest.mark.slow
def test_the_real_photos_are_prepared_without_a_leak(mushroom_data: Path, tmp_path: Path) -> None:
    prepared = prepare(mushroom_data, tmp_path / "out", progress=False)
    assert len(prepared.manifest) > 3500
    groups = prepared.manifest.groupby("group").split.nunique()
    assert (groups == 1).mean() > 0.99, prepared.notes
    assert "source" in prepared.manifest
