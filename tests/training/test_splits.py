"""Splits: nothing that belongs together is parted, and what is given is kept."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mushroom.dataset import SPLITS
from mushroom.errors import DatasetError
from mushroom.training import splits
from mushroom.training.duplicates import components, joined_sources
from mushroom.training.splits import held_out_genera, split_groups, split_sources

GENERA = ("Amanita", "Boletus", "Kuehneromyces mutabilis", "傘")

tables = st.lists(
    st.tuples(st.sampled_from(GENERA), st.integers(0, 12), st.sampled_from(["", "", "", *SPLITS])), max_size=60
).map(
    lambda rows: pd.DataFrame(
        [(f"{number}.jpg", genus, f"g{group}", split) for number, (genus, group, split) in enumerate(rows)],
        columns=["photo", "genus", "group", "split"],
    )
)


@given(tables, st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_groups_stay_together_given_splits_are_kept_and_order_does_not_matter(table: pd.DataFrame, seed: int) -> None:
    split = pd.Series(split_groups(table, "genus", seed), index=table.index, dtype=object)
    assert set(split) <= set(SPLITS)
    assert (split[table.split != ""] == table.split[table.split != ""]).all()
    free = table.assign(found=split)[table.split == ""]
    assert (free.groupby("group").found.nunique() <= 1).all()
    for group, rows in table.assign(found=split).groupby("group"):
        if (rows.split != "").any():
            # The rest of a group follows what is given.
            assert set(rows.found) == set(rows.split) - {""}, group
    assert split_groups(table.drop(columns="split"), "genus", seed) == split_groups(
        table.assign(split=""), "genus", seed
    )


def test_shares_are_of_photos_not_of_groups() -> None:
    groups = np.repeat([f"g{number}" for number in range(60)], [1] * 40 + [20] * 20)
    table = pd.DataFrame({"photo": map(str, range(len(groups))), "genus": "Amanita", "group": groups})
    found = pd.Series(split_groups(table, "genus", 3)).value_counts(normalize=True)
    assert found.to_dict() == pytest.approx(splits.GENUS_SHARES, abs=0.01)


@pytest.fixture
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the rules say holds however long the search for the best split is."""
    monkeypatch.setattr(splits, "SEARCHES", 2)
    monkeypatch.setattr(splits, "MOST_MOVES", 400)


def sources(counts: dict[str, dict[str, int]], fixed: dict[str, str] | None = None) -> pd.DataFrame:
    rows = [
        (source, stratum, (fixed or {}).get(source, ""))
        for source, strata in counts.items()
        for stratum, number in strata.items()
        for _ in range(number)
    ]
    return pd.DataFrame(rows, columns=["source", "stratum", "split"]).assign(unit=lambda table: table.source)


@given(
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=3),
        st.dictionaries(st.sampled_from(GENERA), st.integers(1, 30), min_size=1),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 3),
)
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_source_is_never_in_two_splits(short_search: None, counts: dict[str, dict[str, int]], seed: int) -> None:
    table = sources(counts)
    trained = min(counts)
    table["found"] = split_sources(table, GENERA, seed, [trained])
    assert (table.groupby("source").found.nunique() == 1).all()
    assert set(table.found[table.source == trained]) == {"train"}
    assert split_sources(table, GENERA, seed, [trained]) == table.found.tolist()


def test_large_sources_train_and_what_is_measured_has_photos_of_several_sources(short_search: None) -> None:
    random = np.random.default_rng(0)
    counts = {f"small {number}": dict(zip(GENERA, random.integers(0, 9, 4), strict=True)) for number in range(24)}
    counts["large"] = {GENERA[0]: 300, GENERA[1]: 200}
    counts["by eye"] = {GENERA[2]: 60}
    table = sources(counts, {"by eye": "train"})
    table["found"] = split_sources(table, GENERA, 0, [])
    assert set(table.found[table.source == "large"]) == {"train"}
    assert set(table.found[table.source == "by eye"]) == {"train"}
    for split in ("validation", "test"):
        measured = table[table.found == split].groupby("stratum")
        assert measured.size().reindex(GENERA, fill_value=0).min() >= 12
        assert measured.source.nunique().min() >= 3
    shares = table[~table.source.isin(["large", "by eye"])].found.value_counts(normalize=True)
    assert shares["test"] > 0.1


def test_a_source_that_is_given_to_two_splits_or_does_not_exist_ends_with_a_sentence() -> None:
    table = sources({"a": {GENERA[0]: 4}, "b": {GENERA[1]: 4}})
    with pytest.raises(DatasetError, match="No photo is of the source c"):
        split_sources(table, GENERA, 0, ["c"])
    table.loc[:1, "split"] = ["train", "test"]
    with pytest.raises(DatasetError, match="source a is given to train and to test"):
        split_sources(table, GENERA, 0)


def test_genera_of_background_are_held_out_where_training_loses_least() -> None:
    rows = [(f"genus {number}", split) for number in range(20) for split in ("train", "validation", "test")]
    rows += [("rich", "train")] * 9 + [("rich", "test")] + [("only trains", "train")] * 4
    rows += [("genus 7", "test")] * 2 + [("", "train")] * 50
    background = pd.DataFrame(rows, columns=["genus", "split"])
    held = held_out_genera(background)
    assert 2 <= len(held) <= 4
    assert not {"", "rich", "only trains"} & set(held)


@given(st.integers(1, 30), st.data())
@settings(deadline=None, max_examples=50)
def test_components_are_the_closure_of_pairs(size: int, data: st.DataObject) -> None:
    index = st.integers(0, size - 1)
    pairs = data.draw(st.lists(st.tuples(index, index), max_size=20))
    firsts = components(size, np.array(pairs, int).reshape(-1, 2))
    assert all(firsts[one] == firsts[other] for one, other in pairs)
    assert all(firsts[firsts[row]] == firsts[row] <= row for row in range(size))
    assert len(set(firsts)) >= size - len(pairs)


def test_sources_that_share_a_photo_are_one_unless_they_are_kept_apart() -> None:
    photos = pd.DataFrame({"source": ["a", "b", "b", "c", "d", ""], "group": ["1", "1", "2", "2", "3", "4"]})
    assert joined_sources(photos) == ["a", "a", "a", "a", "d", "group 4"]
    assert joined_sources(photos, apart=["b"]) == ["a", "b", "b", "c", "d", "group 4"]
    assert joined_sources(photos, [("d", "c")], apart=["b"]) == ["a", "b", "b", "c", "c", "group 4"]
