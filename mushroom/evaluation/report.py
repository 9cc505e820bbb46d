"""``report.json`` as types: what pages, model card and commands read of a checkpoint's measurements.

What a visitor is told counts: a known photo that is turned away as none of the genera is not told right.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mushroom.checkpoint import REPORT_FILE, write_json
from mushroom.errors import CheckpointError

Interval = tuple[float, float]
"""Lower and upper bound of a 95 % interval."""

# --- Types --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GenusScores:
    """One genus in one split of ``support`` photos.

    ``precision``, ``recall`` and ``f1`` are of the most probable genus; ``told_right``, ``turned_away`` and
    ``told_wrong`` are shares of what a visitor is told, and sum to 1 (all 0 without photos).
    """

    genus: str
    support: int
    precision: float
    recall: float
    recall_interval: Interval
    f1: float
    told_right: float
    turned_away: float
    told_wrong: float


@dataclass(frozen=True)
class Bin:
    """Photos whose confidence lies within ``lower`` to ``upper``: mean confidence, accuracy, number."""

    lower: float
    upper: float
    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class CoveragePoint:
    """Where answers below ``confidence`` are withheld too: the share still answered, and of those the share wrong."""

    confidence: float
    coverage: float
    error: float


@dataclass(frozen=True)
class SourceScores:
    """The photos of one source: number, accuracy of the most probable genus, share told right."""

    source: str
    count: int
    accuracy: float
    told_right: float


@dataclass(frozen=True)
class SplitScores:
    """Known photos of one split.

    ``told_right``, ``turned_away`` and ``told_wrong`` are shares of all and sum to 1; ``answered_right`` is the share
    told right of those that are not turned away. ``accuracy``, ``top2``, ``mean_recall`` and the F1 scores are of the
    most probable genus, told or not. ``confusion`` has the true genus in rows; columns are what is told: the genera,
    then none of them. ``ece_before`` and ``ece_after`` are calibration errors without and with the temperature.
    ``unseen_source_photos`` are those of sources that the network learned nothing from, before this training either.
    """

    count: int
    sources: int
    unseen_source_photos: int
    told_right: float
    told_right_interval: Interval
    turned_away: float
    told_wrong: float
    answered_right: float
    accuracy: float
    accuracy_interval: Interval
    top2: float
    mean_recall: float
    mean_recall_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    macro_f1_supported: float | None
    supported_genera: tuple[str, ...]
    loss: float
    ece_before: float
    ece_after: float
    reliability_before: tuple[Bin, ...]
    reliability_after: tuple[Bin, ...]
    coverage: tuple[CoveragePoint, ...]
    per_genus: tuple[GenusScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    per_source: tuple[SourceScores, ...]

    @property
    def unseen_sources(self) -> bool:
        """Whether every photo is from a source that the network learned nothing from."""
        return self.unseen_source_photos == self.count


@dataclass(frozen=True)
class KindScores:
    """Photos of one kind that is none of the genera: how often one scores higher than a known photo, share caught."""

    count: int
    auroc: float
    caught: float | None


@dataclass(frozen=True)
class UnknownScores:
    """How well an unknown score tells known photos from others; None where there is no threshold."""

    known_turned_away: float | None
    kinds: Mapping[str, KindScores]


@dataclass(frozen=True)
class ThresholdPoint:
    """A choice of threshold on the validation split: what it turns away of known photos and catches of each kind."""

    threshold: float
    known_turned_away: float
    caught: Mapping[str, float]


@dataclass(frozen=True)
class Unknown:
    """The third answer: the threshold in use, what it does in each split, and other scores on the test split."""

    threshold: float | None
    max_turned_away: float
    splits: Mapping[str, UnknownScores]
    curve: tuple[ThresholdPoint, ...]
    scores: Mapping[str, UnknownScores]


@dataclass(frozen=True)
class SeveralPhotos:
    """Test photos of one species and source answered in groups of two or three, against each photo on its own."""

    groups: int
    photos: int
    single_told_right: float
    together_told_right: float
    single_accuracy: float
    together_accuracy: float


@dataclass(frozen=True)
class FaithfulnessRow:
    """Mean faithfulness of one method at one layer; see ``explain.faithfulness``."""

    method: str
    layer: str
    stage: int | None
    deletion: float
    insertion: float
    average_drop: float
    increase: float
    randomisation_correlation: float | None


@dataclass(frozen=True)
class Chance:
    """What heatmaps of smooth noise reach."""

    deletion: float
    insertion: float
    average_drop: float
    increase: float


@dataclass(frozen=True)
class MostFaithful:
    """The layer and method whose heatmaps changed the prediction most when covered."""

    layer: str
    method: str


@dataclass(frozen=True)
class FaithfulnessTable:
    """Every method at every stage over ``sample`` test photos; ``left_out`` methods would have taken too long."""

    sample: int
    seed: int
    rows: tuple[FaithfulnessRow, ...]
    chance: Chance
    best: MostFaithful | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Latency:
    """Seconds from a decoded photo to its answer and the heatmaps of all ``layers``, one photo at a time.

    ``processor`` is what the network ran on, a GPU by its name, and ``device`` its kind as torch calls it.
    """

    median_s: float
    fastest_s: float
    slowest_s: float
    repeats: int
    layers: int
    threads: int
    processor: str
    device: str = "cpu"

    @property
    def where(self) -> str:
        """What the network ran on, in words."""
        if self.device == "cpu":
            return f"{self.threads} threads of a processor"
        return f"{self.processor} ({self.device})"


@dataclass(frozen=True)
class Report:
    """All that was measured of a checkpoint; ``photos`` are numbers of known photos by split and genus."""

    genera: tuple[str, ...]
    photos: Mapping[str, Mapping[str, int]]
    temperature: float
    unknown: Unknown
    splits: Mapping[str, SplitScores]
    several: SeveralPhotos | None = None
    faithfulness: FaithfulnessTable | None = None
    latency: Latency | None = None
    data_fingerprint: str = ""
    weights_sha256: str = ""
    rank: str = "genus"

    @property
    def test(self) -> SplitScores | None:
        """The split whose numbers count; None where the data had none."""
        return self.splits.get("test")


# --- There and back -----------------------------------------------------------------------------------------

_REPORT = TypeAdapter(Report)


def read_report(folder: Path) -> Report | None:
    """``report.json`` of a checkpoint folder; None where it has none. Raises CheckpointError where it is damaged."""
    return read_json(
        folder / REPORT_FILE,
        _REPORT,
        f"{REPORT_FILE} of {folder.name} is damaged or of another version: run `python train.py evaluate` on it.",
    )


def read_json(path: Path, form: TypeAdapter[Any], refusal: str) -> Any:
    """What a JSON file holds, as its type; None where there is none, CheckpointError where it does not fit."""
    if not path.is_file():
        return None
    try:
        return form.validate_json(path.read_bytes())
    except (ValidationError, OSError) as error:
        raise CheckpointError(refusal) from error


def write_report(folder: Path, report: Report) -> None:
    """Write ``report.json`` whole or not at all."""
    write_json(folder / REPORT_FILE, asdict(report))
