"""A checkpoint meets prepared photos: predictions, report, config and model card, all into the checkpoint folder."""

import platform
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from pydantic import TypeAdapter
from tqdm import tqdm

from mushroom.checkpoint import (
    CARD_FILE,
    PREDICTIONS_FILE,
    load_checkpoint,
    read_config,
    weights_hash,
    write_config,
    write_text,
)
from mushroom.classifier import BATCH, Classifier
from mushroom.dataset import Prepared, read_prepared_photo
from mushroom.errors import CheckpointError
from mushroom.evaluation.model_card import model_card
from mushroom.evaluation.predictions import KNOWN, TEXT_COLUMNS, Predictions, predictions_csv, read_predictions
from mushroom.evaluation.report import FaithfulnessTable, Latency, Report, read_report, write_report
from mushroom.evaluation.scoring import Calibration, build_report, calibrate
from mushroom.explain.faithfulness import faithfulness_table
from mushroom.explain.methods import METHODS

TRAINING_SAMPLE = 500
"""Training photos of the genera that are answered, too: enough to tell learning by heart from understanding."""

FAITHFULNESS_SAMPLE = 32
FAITHFULNESS_SEED = 0
MASKED_PASSES = 1500
"""Methods that look at the photo once for each channel are left out where that would be more passes a photo."""

LATENCY_REPEATS = 50
LATENCY_WARM_UPS = 5
LATENCY_SIZE = (1600, 1200)


def evaluate(
    checkpoint: Path,
    prepared: Prepared,
    *,
    device: str = "cpu",
    batch: int = BATCH,
) -> Report:
    """Predict the prepared photos and write predictions, report, config and model card; returns the report.

    Temperature and unknown threshold are fitted on the validation split and stored in the config. The report
    is computed from ``predictions.csv`` as written, so that the file alone reproduces it. Faithfulness and latency are
    kept from the last report of the same weights. Raises CheckpointError where the photos are of other genera than the
    checkpoint's.
    """
    classifier = Classifier.load(checkpoint, device=device, batch=batch)
    strange = sorted(set(prepared.manifest.genus) - set(classifier.genera))
    if strange:
        raise CheckpointError(
            f"The prepared photos are of genera that this checkpoint does not answer: {', '.join(strange[:5])}."
        )
    write_text(checkpoint / PREDICTIONS_FILE, predictions_csv(predict_prepared(classifier, prepared)))
    calibration = calibrate(read_predictions(checkpoint / PREDICTIONS_FILE))
    config = replace(
        classifier.config,
        temperature=calibration.temperature,
        unknown_threshold=calibration.threshold,
        data_fingerprint=prepared.fingerprint,
    )
    write_config(checkpoint, config)
    return report_again(checkpoint)


def with_faithfulness(
    checkpoint: Path, report: Report, prepared: Prepared, photo_count: int, device: str = "cpu"
) -> Report:
    """``report`` with the faithfulness of heatmaps measured anew over so many test photos; it and the card written."""
    measured = measure_faithfulness(Classifier.load(checkpoint, device=device), prepared, photo_count)
    return _rewritten(checkpoint, replace(report, faithfulness=measured))


def with_latency(checkpoint: Path, report: Report, device: str = "cpu") -> Report:
    """``report`` with the time that a photo takes measured anew; it and the model card are written."""
    measured = measure_latency(Classifier.load(checkpoint, device=device))
    return _rewritten(checkpoint, replace(report, latency=measured))


def _rewritten(checkpoint: Path, report: Report) -> Report:
    """Write report and model card of a checkpoint folder; the report."""
    write_report(checkpoint, report)
    model, config = load_checkpoint(checkpoint)
    write_text(checkpoint / CARD_FILE, model_card(config, report, sum(p.numel() for p in model.parameters())))
    return report


def report_again(checkpoint: Path) -> Report:
    """Write report and model card from the folder's own predictions and config, without any photo; the report.

    What only the network can measure is kept from the last report of the same weights.
    """
    config = read_config(checkpoint)
    predictions = read_predictions(checkpoint / PREDICTIONS_FILE)
    if predictions.genera != config.genera:
        raise CheckpointError(f"{PREDICTIONS_FILE} of {checkpoint.name} answers other genera than its config.")
    calibration = Calibration(config.temperature, config.unknown_threshold)
    report = replace(
        build_report(predictions, calibration, config.provenance.sources),
        rank=config.rank,
        data_fingerprint=config.data_fingerprint,
        weights_sha256=weights_hash(checkpoint),
    )
    try:
        last = read_report(checkpoint)
    except CheckpointError:
        # Damaged or of another version: it is about to be replaced.
        last = None
    if last is not None and last.weights_sha256 == report.weights_sha256:
        report = replace(report, faithfulness=last.faithfulness, latency=last.latency)
    return _rewritten(checkpoint, report)


def predict_prepared(classifier: Classifier, prepared: Prepared) -> Predictions:
    """The network's answers for the photos of a prepared folder, known and background, in manifest order.

    All of validation and test are answered, and ``TRAINING_SAMPLE`` photos of the genera that it learned from.
    """
    table = pd.concat([prepared.manifest, prepared.background])
    texts = table.reindex(columns=list(TEXT_COLUMNS), fill_value="").fillna("")
    asked = (table.split != "train").to_numpy(copy=True)
    learned = np.flatnonzero(prepared.manifest.split == "train")
    asked[np.random.default_rng(0).permutation(learned)[:TRAINING_SAMPLE]] = True
    paths = [prepared.photo_path(row) for row in texts[asked].to_dict("records")]
    logits = np.full((len(table), classifier.config.logit_count), np.nan, np.float32)
    logits[asked] = [
        answer
        for start in tqdm(range(0, len(paths), classifier.batch), desc="predicting", unit="batch")
        for answer in classifier.logits([read_prepared_photo(path) for path in paths[start : start + classifier.batch]])
    ]
    other_genus, unknown_score = np.full(len(table), "", object), np.full(len(table), np.nan)
    for row, answer in zip(np.flatnonzero(asked), classifier.read_logits(logits[asked]), strict=True):
        other_genus[row], unknown_score[row] = answer.other_genus or "", answer.unknown_score
    texts = texts.assign(kind=texts.kind.replace("", KNOWN), other_genus=other_genus)
    return Predictions(
        **{name: column.to_numpy(dtype=str) for name, column in texts.items()},
        unknown_score=unknown_score,
        logits=logits[:, : len(classifier.genera)],
        genera=classifier.genera,
    )


def measure_latency(classifier: Classifier) -> Latency:
    """Time a classifier on a photo of noise as large as the largest that a page keeps."""
    noise = np.random.default_rng(0).integers(0, 255, (*LATENCY_SIZE[::-1], 3)).astype(np.uint8)
    photo = Image.fromarray(noise)
    seconds = []
    for _ in range(LATENCY_WARM_UPS + LATENCY_REPEATS):
        began = time.perf_counter()
        classifier.explain(photo, layers="all")
        seconds.append(time.perf_counter() - began)
    measured = seconds[LATENCY_WARM_UPS:]
    device = classifier.device
    return Latency(
        median_s=statistics.median(measured),
        fastest_s=min(measured),
        slowest_s=max(measured),
        repeats=LATENCY_REPEATS,
        layers=len(classifier.layers),
        threads=torch.get_num_threads(),
        processor=torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        device=device.type,
    )


def measure_faithfulness(classifier: Classifier, prepared: Prepared, photo_count: int) -> FaithfulnessTable:
    """The method x layer table over a seeded sample of the test split, for the genus the network predicts.

    Methods that make no sense in this network are left out; those that would take too long, too, and are named.
    """
    test = prepared.manifest[prepared.manifest.split == "test"]
    sample = test.sample(min(photo_count, len(test)), random_state=FAITHFULNESS_SEED).sort_values("photo")
    photos = [read_prepared_photo(prepared.photo_path(row)) for row in sample.to_dict("records")]
    layers = classifier.choose_layers("stages")
    stages: Any = getattr(classifier.model.backbone, "feature_info", ())
    passes = sum(stage["num_chs"] for stage in stages)
    slow = [key for key in classifier.methods if METHODS[key].needs == "masked scores" and passes > MASKED_PASSES]
    methods = [key for key in classifier.methods if key not in slow]
    images = classifier.to_images(photos).to(classifier.device)
    targets = torch.tensor([classifier.class_index(answer.genus) for answer in classifier.predict(photos)])
    table = faithfulness_table(classifier.model, images, layers, targets, methods, FAITHFULNESS_SEED)
    measured = {"sample": len(photos), "seed": FAITHFULNESS_SEED, **table, "left_out": slow}
    return TypeAdapter(FaithfulnessTable).validate_python(measured)
