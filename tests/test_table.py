"""The table that the app and the command write: the same columns, and no cell that a spreadsheet would run."""

import csv
import io
from pathlib import Path

import pytest

from mushroom import table
from mushroom.streaming import ListedFile

GENERA = ("Tricholoma", "=Cantharellus", "error")
LINE = {
    "photo": "=1+1.jpg",
    "genus": "=Cantharellus",
    "confidence": 0.7,
    "probabilities": {"Tricholoma": 0.1, "=Cantharellus": 0.7, "error": 0.2},
    "unknown": False,
    "unknown_score": 0.25,
    "model": "mine",
    "weights": "0123456789ab",
    "checkpoint": "ba9876543210",
}


@pytest.mark.parametrize("name", ["=1+1.jpg", "+1.jpg", "-1.jpg", "@a.jpg", "\ta.jpg", "\ra.jpg", "'a.jpg", "a.jpg"])
def test_a_name_is_no_formula_and_comes_back(name: str) -> None:
    assert table.guarded(name)[0] not in "=+-@\t\r"
    assert table.unguarded(table.guarded(name)) == name


def test_a_row_fits_the_columns_whatever_the_genera_are_called() -> None:
    names = table.columns(GENERA)
    cells = table.row(LINE, ListedFile("=1+1.jpg", 12, "2026-01-02T03:04:05.000000006Z"), GENERA)
    about_network = ["model", "weights", "checkpoint", "error"]
    assert names[:3] == ["photo", "bytes", "modified"]
    assert names[3:] == ["genus", "confidence", "unknown", "unknown_score", *map(table.guarded, GENERA), *about_network]
    assert cells[:3] == ["'=1+1.jpg", 12, "2026-01-02T03:04:05.000000006Z"]
    answer = ["'=Cantharellus", 0.7, False, 0.25, 0.1, 0.7, 0.2]
    assert cells[3:] == [*answer, "mine", "0123456789ab", "ba9876543210", None]
    bad = table.row({"photo": "b.jpg", "error": "No photo."}, ListedFile("b.jpg"), GENERA)
    assert len(bad) == len(names)
    assert bad[-1] == "No photo."


def test_only_the_visitors_download_begins_with_a_byte_order_mark() -> None:
    line = LINE | {"photo": "Champiñón.jpg"}
    text = table.download([table.row(line, ListedFile("Champiñón.jpg"), GENERA)], GENERA)
    data = text.encode()
    assert data.startswith(b"\xef\xbb\xbf")
    header, row = csv.reader(io.StringIO(data.decode("utf-8-sig")))
    assert header == table.columns(GENERA)
    assert row[0] == "Champiñón.jpg"


def test_the_last_row_of_a_photo_counts(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(table.columns(GENERA))
        for photo, size in (("a.jpg", 1), ("=b.jpg", 2), ("a.jpg", 3)):
            rows.writerow(table.row(LINE | {"photo": photo}, ListedFile(photo, size), GENERA))
    table.drop_superseded(path, GENERA)
    with path.open(newline="") as file:
        left = [cells[:2] for cells in csv.reader(file)][1:]
    assert left == [["'=b.jpg", "2"], ["a.jpg", "3"]]
    assert [each.name for each in tmp_path.iterdir()] == ["table.csv"]
