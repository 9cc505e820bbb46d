"""The façade: any names, several photos, other genera by name, devices."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import SMALL, small_model
from PIL import Image
from scipy.special import log_softmax, softmax

from mushroom.checkpoint import save_checkpoint, write_config
from mushroom.classifier import Classifier, choose_device
from mushroom.errors import ExplanationError, PredictError
from mushroom.model import ModelConfig

NAMES = ("Зонтик", "Fly agaric", "松茸")
CONFIG = replace(SMALL, genera=NAMES, other_genera=("Tricholoma", "Leccinum"), temperature=2.0, unknown_threshold=0.0)


def saved(folder: Path, config: ModelConfig) -> Classifier:
    model = small_model(config)
    # Far enough apart that photos get different answers.
    torch.nn.init.normal_(model.head[-1].weight, std=0.5)
    save_checkpoint(folder, model, config)
    return Classifier.load(folder, batch=3)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    return saved(tmp_path_factory.mktemp("small"), CONFIG)


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    random = np.random.default_rng(0)
    coarse = [random.integers(0, 255, (4, 5, 3)).astype(np.uint8) for _ in range(7)]
    return [Image.fromarray(each).resize((80, 60)) for each in coarse]


def test_answers_are_the_checkpoints_names_in_its_order_and_logits_and_the_other_genus_is_weighed_against_them(
    classifier: Classifier, photos: list[Image.Image]
) -> None:
    logits = classifier.logits(photos)
    assert logits.shape == (7, 5)
    for answer, row in zip(classifier.predict(photos), logits, strict=True):
        assert tuple(answer.probabilities) == NAMES
        assert list(answer.probabilities.values()) == pytest.approx(softmax(row[:3] / 2.0))
        assert answer.genus == NAMES[int(row[:3].argmax())]
        assert answer.logits == pytest.approx(row[:3])
        assert answer.other_genus == CONFIG.other_genera[int(row[3:].argmax())]
        assert answer.other_confidence == pytest.approx(softmax(row / 2.0)[3:].max())
        plain = softmax(row.astype(float))
        assert answer.unknown_score == pytest.approx(np.log(plain[3:].sum() / plain[:3].sum()), abs=1e-5)
        assert answer.unknown == (answer.unknown_score > 0.0)


def test_an_other_genus_without_a_name_is_not_named(tmp_path: Path, photos: list[Image.Image]) -> None:
    [answer] = saved(tmp_path, replace(CONFIG, other_genera=("other",))).predict(photos[:1])
    assert answer.other_genus is None
    assert 0 < answer.other_confidence < 1
    [answer] = saved(tmp_path / "plain", replace(CONFIG, other_genera=())).predict(photos[:1])
    assert (answer.other_genus, answer.other_confidence) == (None, 0.0)


def test_several_photos_of_one_mushroom_are_the_mean_of_their_log_probabilities(
    classifier: Classifier, photos: list[Image.Image]
) -> None:
    single = classifier.predict(photos[:3])
    together = classifier.predict_together(photos[:3])
    logs = np.log([list(answer.probabilities.values()) for answer in single]).mean(axis=0)
    assert list(together.probabilities.values()) == pytest.approx(np.exp(log_softmax(logs)), rel=1e-5)
    assert together.unknown_score == pytest.approx(np.mean([answer.unknown_score for answer in single]))
    assert classifier.predict_together(photos[:1]).probabilities == pytest.approx(single[0].probabilities)
    with pytest.raises(PredictError):
        classifier.predict_together([])


def test_features_are_what_the_head_is_given(classifier: Classifier, photos: list[Image.Image]) -> None:
    features = classifier.features(photos)
    assert features.shape == (7, 1024)
    with torch.inference_mode():
        again = classifier.model.head(torch.from_numpy(features)).numpy()
    assert again == pytest.approx(classifier.logits(photos), abs=1e-4)
    assert classifier.features([]).shape == (0, 1024)
    assert classifier.logits([]).shape == (0, 5)


def test_a_heatmap_is_for_the_answer_and_for_another_genus_where_it_is_asked_for(
    classifier: Classifier, photos: list[Image.Image]
) -> None:
    for photo, answer in zip(photos, classifier.predict(photos), strict=True):
        assert classifier.explain(photo).genus == answer.genus
        against = classifier.explain(photo, method="contrastive").against
        assert against in set(NAMES) - {answer.genus}
    assert classifier.explain(photos[0], "tricholoma").genus == "Tricholoma"
    assert classifier.explain(photos[0], "ЗОНТИК ").genus == "Зонтик"
    with pytest.raises(ExplanationError, match="Fly agaric"):
        classifier.explain(photos[0], "Boletus")


def test_a_changed_config_gives_another_identity_and_other_answers(tmp_path: Path, photos: list[Image.Image]) -> None:
    first = saved(tmp_path, CONFIG)
    write_config(tmp_path, replace(CONFIG, temperature=0.5))
    second = Classifier.load(tmp_path)
    assert second.weights_sha256 == first.weights_sha256
    assert second.identity != first.identity
    assert second.predict(photos[:1])[0].confidence > first.predict(photos[:1])[0].confidence


def test_a_device_that_is_not_there_is_a_sentence() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(PredictError, match="auto, cpu, cuda, mps"):
        choose_device("tpu")
    for name in {"cuda", "mps"} - {choose_device("auto").type}:
        with pytest.raises(PredictError, match="choose auto or cpu"):
            choose_device(name)


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_of_nothing_is_a_sentence(classifier: Classifier, batch: int) -> None:
    with pytest.raises(PredictError, match="use 1 or more"):
        Classifier.load(classifier.folder, batch=batch)
