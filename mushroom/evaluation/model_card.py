"""A checkpoint's config and report become its model card; the text is the template beside this file."""

from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from mushroom.evaluation.metrics import SUPPORTED_PHOTOS
from mushroom.evaluation.report import Report, SplitScores
from mushroom.model import STEM_NORM_RESNET, ModelConfig, Provenance
from mushroom.texts import RANKS, none_of_these, these

TEMPLATE = Path(__file__).with_suffix(".md")

SCARCE_PHOTOS = 50
"""Of a genus with fewer training photos the card says that it is guessed."""

HASH_DIGITS = 12

STARTS = {
    "random": "The backbone started from random numbers: all it knows, it learned from these photos.",
    "pretrained": "The backbone started from pretrained weights.",
}
HOW = {
    "start": "Training started from {names}.",
    "mean": "It is the mean of networks that were fine-tuned on these photos: {names} (Wortsman et al. 2022).",
}


def model_card(config: ModelConfig, report: Report, parameters: int, address: str = "path/to/this/folder") -> str:
    """The text of a checkpoint folder's README.md, from its config and report alone.

    ``parameters`` of the network; ``address`` is what ``Classifier.load`` takes.
    """
    count = len(config.genera)
    test = report.test
    card = ModelCard.from_template(
        _card_data(config, report),
        template_path=str(TEMPLATE),
        config=config,
        report=report,
        test=test,
        these=these(count, config.rank),
        none_of_these=none_of_these(count),
        names_of_rank=RANKS[config.rank],
        # The background's folders are genera or not: a checkpoint of species does not say.
        known_others="other genera" if config.rank == "genus" else "others",
        others=report.unknown.splits["test"].kinds if test else {},
        supported_photos=SUPPORTED_PHOTOS,
        failures=_failures(config, report),
        head=" - ".join(map(str, (*config.head_widths, config.logit_count))),
        parameters=f"{parameters / 1e6:.1f} million parameters",
        command=config.provenance.command or "train.py train",
        origins=_origins(config.provenance),
        recipe=config.recipe.get("name", "?"),
        seed=config.recipe.get("seed", "?"),
        git_commit=config.git_commit or "unknown",
        photo_count=sum(sum(counts.values()) for counts in report.photos.values()),
        data_fingerprint=config.data_fingerprint or "unknown",
        address=address,
        share="{:.3f}".format,
        interval="{:.3f} to {:.3f}".format,
    )
    return str(card).rstrip() + "\n"


def _card_data(config: ModelConfig, report: Report) -> ModelCardData:
    """What the Hub reads: licence, task, and the test split's metrics as its model-index."""
    test = report.test
    known_base = config.provenance.start != "random" and config.backbone != STEM_NORM_RESNET
    return ModelCardData(
        license="apache-2.0",
        library_name="timm",
        pipeline_tag="image-classification",
        base_model=f"timm/{config.backbone}" if known_base else None,
        tags=["mushrooms", "image-classification", "grad-cam"],
        model_name=config.name if test else None,
        eval_results=_eval_results(config, test) if test else None,
    )


def _eval_results(config: ModelConfig, test: SplitScores) -> list[EvalResult]:
    measured = (
        ("accuracy", f"Accuracy of the most probable {config.rank}", test.accuracy),
        ("recall", "Mean recall", test.mean_recall),
        ("f1", f"Macro-F1 of {these(len(config.genera), config.rank)}", test.macro_f1),
    )
    return [
        EvalResult(
            task_type="image-classification",
            dataset_type="mushrooms",
            dataset_name=f"{these(len(config.genera), config.rank).capitalize()} of mushrooms",
            dataset_split="test",
            metric_type=kind,
            metric_name=title,
            metric_value=round(value, 4),
        )
        for kind, title, value in measured
    ]


def _origins(provenance: Provenance) -> list[str]:
    """Sentences on where the network's knowledge comes from."""
    sentences = [STARTS[provenance.start]] if provenance.start in STARTS else []
    for how, sentence in HOW.items():
        named = [
            f"{one.name} (weights `{one.weights_sha256[:HASH_DIGITS]}`)"
            for one in provenance.ancestors
            if one.how == how
        ]
        if named:
            sentences.append(sentence.format(names=", ".join(named)))
    return [*sentences, *provenance.notes]


def _failures(config: ModelConfig, report: Report) -> list[str]:
    """What the numbers themselves say about where not to trust it."""
    sentences = [
        f'Fungi it has never seen: the answer "{none_of_these(len(config.genera))}" catches only part of them.'
    ]
    train, test = report.photos["train"], report.test
    scarce = [f"{genus} ({train[genus]})" for genus in config.genera if train[genus] < SCARCE_PHOTOS]
    if scarce:
        sentences.append(f"Fewer than {SCARCE_PHOTOS} training photos: {', '.join(scarce)}. Take these as guesses.")
    if test:
        hardest = sorted((row for row in test.per_genus if row.support), key=lambda row: row.told_right)[:3]
        sentences += [
            f"{row.genus}: {row.told_right:.2f} of {row.support} test photos told right."
            for row in hardest
            if row.told_right < test.told_right
        ]
        worst = sorted((row for row in test.per_source if row.count >= 5), key=lambda row: row.told_right)[:3]
        sentences += [f"On {row.source}: {row.told_right:.2f} of {row.count} test photos told right." for row in worst]
    return sentences
