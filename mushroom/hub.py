"""The checkpoint folder and the Hugging Face Hub: the model card, publish, fetch."""

import errno
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from httpx2 import HTTPError
from huggingface_hub import (
    CommitOperationAdd,
    EvalResult,
    HfApi,
    ModelCardData,
    get_token,
    snapshot_download,
)
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)
from huggingface_hub.utils import validate_repo_id

from mushroom.checkpoint import (
    CARD_FILE,
    CONFIG_FILE,
    HISTORY_FILE,
    HUB_PREFIX,
    PREDICTIONS_FILE,
    REPORT_FILE,
    WEIGHTS_FILE,
    load_checkpoint,
)
from mushroom.dataset import BACKGROUND_FILE, DATASET_FILE, HUB_DATASET, MANIFEST_FILE, load_prepared
from mushroom.errors import HubError
from mushroom.evaluation.metrics import SUPPORTED_PHOTOS
from mushroom.model import STEM_NORM_RESNET, ModelConfig

PUBLISHED_FILES = (WEIGHTS_FILE, CONFIG_FILE, HISTORY_FILE, PREDICTIONS_FILE, REPORT_FILE)
"""What publish sends, beside the model card; nothing else that may lie in the folder."""

FETCHED_FILES = (WEIGHTS_FILE, CONFIG_FILE, REPORT_FILE)
"""What is taken from a stranger's repository to load its model: nothing that could run, and nothing beside."""

RECORDS = (PREDICTIONS_FILE, HISTORY_FILE)
"""What the app takes, too, to show how the model learned and what it answered: tables, read as such."""


@dataclass(frozen=True)
class HubAddress:
    """A repository ``user/name``, at a branch, tag or commit where ``revision`` is not None."""

    repo: str
    revision: str | None = None


# --- There and back -----------------------------------------------------------------------------------------


def parse_address(text: str) -> HubAddress:
    """``hf://user/name`` of a model or ``hf://datasets/user/name``, with ``@revision`` or not; HubError otherwise."""
    repo, _, revision = text.removeprefix(HUB_DATASET).removeprefix(HUB_PREFIX).partition("@")
    try:
        validate_repo_id(repo)
        valid = repo.count("/") == 1 and (not revision or re.fullmatch(r"[\w./-]+", revision) is not None)
    except HFValidationError:
        valid = False
    if not valid:
        prefix = HUB_DATASET if text.startswith(HUB_DATASET) else HUB_PREFIX
        raise HubError(f"{text!r} is no address on the Hub: write {prefix}user/name or {prefix}user/name@v1.")
    return HubAddress(repo, revision or None)


def fetch(address: HubAddress, *, records: bool = False) -> Path:
    """The checkpoint folder of a model repository, in the Hub's cache: pinned to one commit, there again offline.

    Weights, config and report; with ``records`` also the tables of what it answered and how it learned. Raises
    HubError with a sentence.
    """
    files = [*FETCHED_FILES, *(RECORDS if records else ())]
    with _sentences(address.repo):
        return Path(snapshot_download(address.repo, revision=address.revision, allow_patterns=files))


def fetch_test_photos(address: HubAddress) -> Path:
    """The prepared folder of a dataset repository, with the photos of its test split and no others.

    Raises HubError with a sentence, and DatasetError where the repository holds no prepared folder.
    """
    with _sentences(address.repo):
        tables = _fetch_dataset(address, [MANIFEST_FILE, BACKGROUND_FILE, DATASET_FILE])
        prepared = load_prepared(tables)
        if not prepared.root.resolve().is_relative_to(tables.resolve()):
            raise HubError(f"The dataset {address.repo} does not hold its own photos: prepare and send them together.")
        test = prepared.manifest[prepared.manifest.split == "test"].to_dict("records")
        photos = [prepared.photo_path(row) for row in test]
        return _fetch_dataset(
            # The commit that the tables are of, whatever has been sent there since.
            HubAddress(address.repo, tables.name),
            [path.relative_to(tables).as_posix() for path in photos],
        )


def _fetch_dataset(address: HubAddress, files: Sequence[str]) -> Path:
    # Names are matched as patterns: in a photo's name, brackets would be more than brackets.
    patterns = [re.sub(r"([*?[])", r"[\1]", name) for name in files]
    return Path(
        snapshot_download(address.repo, repo_type="dataset", revision=address.revision, allow_patterns=patterns)
    )


def publish(folder: Path, repo: str, *, private: bool = False, dry_run: bool = False) -> str:
    """Send a checkpoint folder with its model card to ``repo`` in one commit; the address of what is there then.

    The folder must load and have been evaluated. A dry run sends nothing. Raises CheckpointError or HubError with
    a sentence; then nothing of the folder is published.
    """
    address = parse_address(HUB_PREFIX + repo)
    model, config = load_checkpoint(folder)
    if not (folder / REPORT_FILE).is_file():
        raise HubError(f"{folder} has no {REPORT_FILE}: run `python train.py evaluate` on it first.")
    report = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
    card = model_card(config, report, sum(p.numel() for p in model.parameters()), HUB_PREFIX + address.repo)
    files = [folder / name for name in PUBLISHED_FILES if (folder / name).is_file()]
    operations = [CommitOperationAdd(path.name, path) for path in files]
    operations.append(CommitOperationAdd(CARD_FILE, card.encode("utf-8")))
    if dry_run:
        return "\n".join(
            [f"Would be sent to {address.repo}:"]
            + [f"  {path.name}  {path.stat().st_size / 1e6:.2f} MB" for path in files]
            + [f"  {CARD_FILE}  {len(card.encode()) / 1e6:.2f} MB"]
        )
    if not get_token():
        raise HubError("Not logged in to the Hugging Face Hub: run `hf auth login` first, or set HF_TOKEN.")
    api = HfApi()
    with _sentences(address.repo):
        api.create_repo(address.repo, private=private, exist_ok=True)
        done = api.create_commit(address.repo, operations, commit_message=f"Publish {config.name}")
    return f"Published: {HUB_PREFIX}{address.repo}@{done.oid}"


@contextmanager
def _sentences(repo: str) -> Iterator[None]:
    """Turn what can go wrong with the Hub into a HubError with a sentence."""
    try:
        yield
    except RevisionNotFoundError as error:
        raise HubError(f"The repository {repo} has no such branch, tag or commit.") from error
    except RepositoryNotFoundError as error:
        raise HubError(
            f"There is no repository {repo} on the Hugging Face Hub, or it is private and not yours: "
            "check the name, or log in with `hf auth login`."
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise HubError(
                f"The Hugging Face Hub refused access to {repo} ({status}): log in with `hf auth login`, with a token "
                "that may write there."
            ) from error
        raise HubError(f"The Hugging Face Hub answered with an error ({status}): try again later.") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, RevisionResolutionError) as error:
        raise HubError(
            f"The Hugging Face Hub could not be reached, and {repo} is not in the cache of this machine."
        ) from error
    except (OSError, HTTPError, RuntimeError) as error:
        # An upload's own errors arrive wrapped in a RuntimeError.
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise HubError(f"The disk is full: {repo} could not be stored.") from error
        raise HubError(
            f"The transfer of {repo} broke off: try again, and see that the network is there and the token may write."
        ) from error


# --- Model card ---------------------------------------------------------------------------------------------

CARD = """\
---
{front_matter}
---

# {name}: nine genera of mushrooms

A photo in, one of nine genera out: {genera}.

**A prediction is never a reason to eat a mushroom.** This model has not seen most species, and its mistakes do
not look like mistakes. Deadly species lie within and beside these genera.

## What it is
- Backbone `{backbone}` on {input_px} x {input_px} px (the whole photo, squashed to a square), head
  {head}, {parameters}.
- Trained by `{command}` (recipe *{recipe}*, seed {seed}, commit `{git_commit}`).
{origins}
- Temperature {temperature:.4f}; photos whose energy exceeds {threshold} are answered "none of the nine, as far as
  I can tell".

## What it was trained on
Photos gathered from public repositories, {photo_count} in all; the split keeps near-duplicates together.

| genus | train | validation | test |
| --- | --- | --- | --- |
{photo_rows}

Data fingerprint `{data_fingerprint}`.

## What it does on photos it has not seen
{scores}

### Where it will fail
{failures}

## How to load it
```python
from mushroom.classifier import Classifier

classifier = Classifier.load("{address}")
print(classifier.predict([photo]))
```

Every number on this page is computed from `predictions.csv` in this folder by `python train.py evaluate`.
"""


def model_card(
    config: ModelConfig, report: Mapping[str, Any], parameters: int, address: str = "path/to/this/folder"
) -> str:
    """The text of a checkpoint folder's README.md, from its config and report alone.

    ``parameters`` of the network; ``address`` is what ``Classifier.load`` takes.
    """
    photos = report["photos"]
    rows = [
        f"| {genus} | {photos['train'][genus]} | {photos['validation'][genus]} | {photos['test'][genus]} |"
        for genus in config.genera
    ]
    threshold = config.unknown_threshold
    return CARD.format(
        front_matter=_front_matter(config, report),
        address=address,
        name=config.name,
        genera=", ".join(config.genera),
        backbone=config.backbone,
        input_px=config.input_px,
        head=" - ".join(map(str, (*config.head_widths, len(config.genera)))),
        parameters=f"{parameters / 1e6:.1f} million parameters",
        command=config.recipe.get("command", "train.py train"),
        origins="\n".join(f"- {sentence}" for sentence in origins(config)),
        recipe=config.recipe.get("name", "?"),
        seed=config.recipe.get("seed", "?"),
        git_commit=config.git_commit or "unknown",
        temperature=config.temperature,
        threshold="(not measured)" if threshold is None else f"{threshold:.3f}",
        photo_count=sum(sum(counts.values()) for counts in photos.values()),
        photo_rows="\n".join(rows),
        data_fingerprint=config.data_fingerprint or "unknown",
        scores=_scores(report),
        failures="\n".join(_failures(config, report)),
    )


def origins(config: ModelConfig) -> list[str]:
    """Sentences on where the network's knowledge comes from, by its recipe."""
    recipe = config.recipe
    held = max((phase.get("frozen_stages", 0) for phase in recipe.get("phases", ())), default=0)
    sentences = []
    if _from_scratch(config):
        sentences.append("The backbone started from random numbers: all it knows, it learned from these photos.")
    elif held:
        sentences.append(
            f"The backbone is held as it was pretrained up to the {held}th of the points that timm's `feature_info` "
            "lists; what follows was learned here."
        )
    else:
        sentences.append("The backbone started from pretrained weights.")
    if tuned := recipe.get("tuned"):
        named = [f"{each['name']} (weights `{each['weights_sha256'][:12]}`)" for each in tuned]
        if recipe.get("new_head"):
            share = recipe["tuned_share"]
            sentences.append(
                f"Its weights are {share:.0%} those of {' and '.join(named)}, fine-tuned on these photos, and "
                f"{1 - share:.0%} the pretrained ones (Wortsman et al. 2022); the head was then fitted anew, every "
                "genus counting alike."
            )
        else:
            sentences.append(
                f"It is the mean of networks that were fine-tuned on these photos from there: {', '.join(named)} "
                "(Wortsman et al. 2022)."
            )
    if alike := recipe.get("alike"):
        sentences.append(
            f"Its head was then moved {alike:.0%} of the way from expecting genera as often as it saw them to "
            "expecting all alike (Menon et al. 2021)."
        )
    if teacher := recipe.get("teacher"):
        sentences.append(
            f"It learned from the answers of {teacher['name']} (weights `{teacher['weights_sha256'][:12]}`) beside the "
            "labels, and from photos of fungi that have no label (Hinton et al. 2015)."
        )
    if names := recipe.get("names"):
        sentences.append(
            f"It learned from other photos, too, that were named by looking at them alone, in `{names}`: some of those "
            "names are wrong. No number below is measured on them."
        )
    if recipe.get("probe_teaches"):
        sentences.append(
            f"{recipe['taught']:.0%} of what it learned of each photo, and all that it learned of fungi without "
            "a label, is what a linear layer on the pretrained backbone answers (Li & Hoiem 2016)."
        )
    return sentences


def _from_scratch(config: ModelConfig) -> bool:
    return "--random-backbone" in config.recipe.get("command", "")


def _front_matter(config: ModelConfig, report: Mapping[str, Any]) -> str:
    """What the Hub reads: licence, task, and the test split's metrics as its model-index."""
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type="mushroom-genera",
            dataset_name="Nine genera of mushrooms",
            dataset_split="test",
            metric_type=kind,
            metric_name=title,
            metric_value=round(report["splits"]["test"][key], 4),
        )
        for kind, title, key in (("accuracy", "Accuracy", "accuracy"), ("f1", "Macro-F1, all nine genera", "macro_f1"))
        if "test" in report["splits"]
    ]
    return ModelCardData(
        license="apache-2.0",
        library_name="timm",
        pipeline_tag="image-classification",
        base_model=None if _from_scratch(config) or config.backbone == STEM_NORM_RESNET else f"timm/{config.backbone}",
        tags=["mushrooms", "image-classification", "grad-cam"],
        model_name=config.name if results else None,
        eval_results=results or None,
    ).to_yaml()


def _scores(report: Mapping[str, Any]) -> str:
    if "test" not in report["splits"]:
        return "Not measured: the data had no test split."
    test = report["splits"]["test"]
    low, high = test["accuracy_interval"]
    f1_low, f1_high = test["macro_f1_interval"]
    lines = [
        f"Test split, {test['count']} photos.",
        "",
        "| measure | value |",
        "| --- | --- |",
        f"| accuracy | {test['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}) |",
        f"| right among the first two | {test['top2']:.3f} |",
        f"| macro-F1 | {test['macro_f1']:.3f} (95 % interval {f1_low:.3f} to {f1_high:.3f}) |",
    ]
    if test["macro_f1_supported"] is not None:
        lines.append(
            f"| macro-F1 of genera with {SUPPORTED_PHOTOS} or more test photos "
            f"({', '.join(test['supported_genera'])}) | {test['macro_f1_supported']:.3f} |"
        )
    lines.append(f"| calibration error | {test['ece_after']:.3f} (uncalibrated {test['ece_before']:.3f}) |")
    measured = report["unknown"]["measured"]["test"]
    lines += [
        f"| {kind.replace('_', ' ')}: AUROC, turned away | {values['auroc']:.3f}, {values['rejected']:.3f} of "
        f"{values['count']} |"
        for kind, values in measured.items()
        if isinstance(values, Mapping)
    ]
    if latency := report.get("latency"):
        lines.append(
            f"| one photo with heatmaps of all {latency['layers']} layers | {latency['median_s']:.2f} s, median of "
            f"{latency['repeats']} on {latency['threads']} threads of a processor |"
        )
    lines += ["", "| genus | precision | recall | F1 | test photos |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {row['genus']} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} | {row['support']} |"
        for row in test["per_genus"]
    ]
    return "\n".join(lines)


def _failures(config: ModelConfig, report: Mapping[str, Any]) -> list[str]:
    """What the numbers themselves say about where not to trust it."""
    train = report["photos"]["train"]
    scarce = [f"{genus} ({train[genus]})" for genus in config.genera if train[genus] < 50]
    lines = [
        "- Photos from elsewhere than the training sources: the split shares its sources with training, so a "
        "stranger's phone will do worse than the numbers above.",
        "- Species it has never seen, of these genera or of others; the unknown answer catches only part of them.",
    ]
    if scarce:
        lines.append(f"- Genera with fewer than 50 training photos: {', '.join(scarce)}. Take these as guesses.")
    if "test" in report["splits"]:
        sources = [row for row in report["splits"]["test"]["per_source"] if row["count"] >= 5]
        for row in sorted(sources, key=lambda row: row["accuracy"])[:3]:
            lines.append(f"- On {row['source']}: {row['accuracy']:.2f} of {row['count']} test photos right.")
    return lines
