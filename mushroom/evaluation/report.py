"""A checkpoint meets prepared photos: predictions, report, model card, all into the checkpoint folder."""

import json
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from mushroom.checkpoint import CARD_FILE, PREDICTIONS_FILE, REPORT_FILE, write_config, write_json, write_text
from mushroom.classifier import Classifier
from mushroom.dataset import Prepared
from mushroom.evaluation import metrics
from mushroom.evaluation.metrics import KNOWN, Predictions
from mushroom.explain.faithfulness import faithfulness_table
from mushroom.explain.methods import METHODS
from mushroom.hub import model_card
from mushroom.photos import read_photo_file

FAITHFULNESS_SAMPLE = 32
FAITHFULNESS_SEED = 0
MASKED_PASSES = 1500
"""Methods that look at the photo once for each channel are left out where that would be more passes a photo."""

LATENCY_REPEATS = 50
LATENCY_WARM_UPS = 5
LATENCY_SIZE = (1600, 1200)


def evaluate(checkpoint: Path, prepared: Prepared, *, faithfulness: int = 0, latency: bool = False) -> dict[str, Any]:
    """Predict every prepared photo and write predictions, report, config and model card; returns the report.

    Temperature and unknown threshold are fitted on the validation split and stored in the config. The report
    is computed from ``predictions.csv`` as written, so that the file alone reproduces it. Faithfulness of
    heatmaps (over so many test photos) and latency are measured when asked for, and otherwise kept from the last
    report of the same weights.
    """
    classifier = Classifier.load(checkpoint)
    text = metrics.predictions_csv(predict_prepared(classifier, prepared))
    write_text(checkpoint / PREDICTIONS_FILE, text)
    predictions = metrics.read_predictions(checkpoint / PREDICTIONS_FILE)
    report = metrics.build_report(predictions)
    config = replace(
        classifier.config,
        temperature=report["temperature"],
        unknown_threshold=report["unknown"]["threshold"],
        data_fingerprint=prepared.fingerprint,
    )
    write_config(checkpoint, config)
    report |= _kept(checkpoint, classifier.weights_sha256)
    if faithfulness:
        report["faithfulness"] = measure_faithfulness(Classifier.load(checkpoint), prepared, faithfulness)
    if latency:
        report["latency"] = measure_latency(Classifier.load(checkpoint))
    report["data_fingerprint"] = prepared.fingerprint
    report["weights_sha256"] = classifier.weights_sha256
    write_json(checkpoint / REPORT_FILE, report)
    write_text(checkpoint / CARD_FILE, model_card(config, report, classifier.parameter_count))
    return report


def predict_prepared(classifier: Classifier, prepared: Prepared) -> Predictions:
    """The network's answers for all photos of a prepared folder, known and background, in manifest order."""
    known, background = prepared.manifest, prepared.background
    columns: dict[str, list[str]] = {name: [] for name in metrics.PREDICTION_COLUMNS}
    paths: list[Path] = []
    for table in (known, background):
        if table is None:
            continue
        for row in table.to_dict("records"):
            paths.append(prepared.photo_path(row))
            columns["photo"].append(row["photo"])
            columns["kind"].append(row.get("kind") or KNOWN)
            columns["split"].append(row["split"])
            columns["genus"].append(row.get("genus") or "")
            columns["source"].append(row.get("source") or "")
    logits = [
        answer
        for chunk in _chunks(tqdm(paths, desc="predicting", unit="photo"))
        for answer in classifier.logits([read_photo_file(path) for path in chunk])
    ]
    text = {name: np.array(values, dtype=str) for name, values in columns.items()}
    return Predictions(logits=np.array(logits), genera=classifier.config.genera, **text)


def measure_latency(classifier: Classifier) -> dict[str, Any]:
    """Seconds from a decoded photo to its answer and the heatmaps of all layers, one photo at a time.

    In the form that ``report.json`` holds: the median and the extremes of ``repeats``, the number of ``layers``, and
    the ``threads`` of the processor they took.
    """
    noise = np.random.default_rng(0).integers(0, 255, (*LATENCY_SIZE[::-1], 3)).astype(np.uint8)
    photo = Image.fromarray(noise)
    seconds = []
    for _ in range(LATENCY_WARM_UPS + LATENCY_REPEATS):
        began = time.perf_counter()
        classifier.explain(photo, layers="all")
        seconds.append(time.perf_counter() - began)
    measured = seconds[LATENCY_WARM_UPS:]
    return {
        "median_s": statistics.median(measured),
        "fastest_s": min(measured),
        "slowest_s": max(measured),
        "repeats": LATENCY_REPEATS,
        "layers": len(classifier.layers),
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
    }


def measure_faithfulness(classifier: Classifier, prepared: Prepared, photo_count: int) -> dict[str, Any]:
    """The method x layer table over a seeded sample of the test split, for the genus the network predicts.

    In the form that ``report.json`` holds: ``sample`` photos, ``seed``, what ``faithfulness_table`` gives, and the
    methods ``left_out`` because they would take too long.
    """
    test = prepared.manifest[prepared.manifest.split == "test"]
    sample = test.sample(min(photo_count, len(test)), random_state=FAITHFULNESS_SEED).sort_values("photo")
    photos = [read_photo_file(prepared.photo_path(row)) for row in sample.to_dict("records")]
    layers = classifier.choose_layers("stages")
    stages: Any = getattr(classifier.model.backbone, "feature_info", ())
    passes = sum(stage["num_chs"] for stage in stages)
    slow = [key for key, method in METHODS.items() if method.needs == "masked scores" and passes > MASKED_PASSES]
    methods = [method for method in classifier.methods if method not in slow]
    images = classifier.to_images(photos)
    table = faithfulness_table(classifier.model, images, layers, methods=methods, seed=FAITHFULNESS_SEED)
    return {"sample": len(photos), "seed": FAITHFULNESS_SEED, **table, "left_out": slow}


def _kept(checkpoint: Path, weights_sha256: str) -> dict[str, Any]:
    """What the last report measured at length and still holds, because the weights are the same."""
    path = checkpoint / REPORT_FILE
    if not path.exists():
        return {}
    last = json.loads(path.read_text(encoding="utf-8"))
    if last.get("weights_sha256") != weights_sha256:
        return {}
    return {name: last[name] for name in ("faithfulness", "latency") if name in last}


def _chunks(paths: Sequence[Path], size: int = 32) -> Iterator[list[Path]]:
    chunk: list[Path] = []
    for path in paths:
        chunk.append(path)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
