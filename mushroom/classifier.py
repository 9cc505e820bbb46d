"""The façade that pages, command line and notebooks use: load a checkpoint, predict, explain, cover.

One ``Classifier`` serves many threads at once. Its network is in eval mode without gradients from the moment it
is loaded, and nothing here changes that.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mushroom.checkpoint import HUB_PREFIX, WEIGHTS_FILE, checkpoints_folder, list_checkpoints
from mushroom.errors import CheckpointError, ExplanationError
from mushroom.evaluation.metrics import probabilities, unknown_score
from mushroom.explain import faithfulness, gradcam
from mushroom.explain.gradcam import Layer, LayerHeatmaps
from mushroom.genera import GENERA
from mushroom.model import GenusNet, ModelConfig, load_checkpoint
from mushroom.photos import Preprocessing, to_tensor

BATCH = 32


@dataclass(frozen=True)
class Prediction:
    """The network's answer for one photo.

    ``genus`` is the most probable of the nine and ``confidence`` its calibrated probability; ``probabilities``
    sum to 1. ``unknown`` says that the photo is none of the nine, as far as the network can tell: its
    ``unknown_score`` exceeds the checkpoint's threshold. ``logits`` are in the order of ``genera.GENERA``.
    """

    genus: str
    confidence: float
    probabilities: dict[str, float]
    unknown: bool
    unknown_score: float
    logits: tuple[float, ...]


@dataclass(frozen=True)
class Explanation:
    """Heatmaps of one photo for one genus, early layers first, with what is needed to show them.

    ``heatmaps`` maps a layer's name to float32 (height, width) in [0, 1] at feature-map size; where
    ``has_evidence`` is false nothing speaks for the genus and the heatmap is all zeros. ``against`` is the genus
    that a contrastive explanation argues against, otherwise None.
    """

    genus: str
    against: str | None
    method: str
    layers: tuple[Layer, ...]
    heatmaps: dict[str, np.ndarray]
    has_evidence: dict[str, bool]
    prediction: Prediction


class Classifier:
    """A loaded checkpoint: photos in, genera and heatmaps out."""

    def __init__(self, model: GenusNet, config: ModelConfig, folder: Path) -> None:
        self.model = model
        self.config = config
        self.folder = folder
        self.preprocessing = Preprocessing(config.input_px, config.mean, config.std)

    @classmethod
    def load(cls, checkpoint: str | Path | None = None) -> "Classifier":
        """The classifier of a checkpoint folder, or of ``hf://user/name@revision``; the default one without.

        Raises CheckpointError with a sentence where it can't be used.
        """
        if checkpoint is None:
            at_hand = list_checkpoints()
            if not at_hand:
                raise CheckpointError(
                    f"There is no checkpoint in {checkpoints_folder()}: train one, or name a checkpoint folder."
                )
            checkpoint = at_hand[0]
        if str(checkpoint).startswith(HUB_PREFIX):
            from mushroom.hub import fetch, parse_address

            checkpoint = fetch(parse_address(str(checkpoint)))
        folder = Path(checkpoint)
        model, config = load_checkpoint(folder)
        return cls(model, config, folder)

    @cached_property
    def weights_sha256(self) -> str:
        """Hash of the weights file: tells whether two reports speak of the same network."""
        return hashlib.sha256((self.folder / WEIGHTS_FILE).read_bytes()).hexdigest()

    @cached_property
    def parameter_count(self) -> int:
        """Learned numbers of the network."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer a heatmap can be taken from, early to late."""
        return gradcam.find_layers(self.model, self.preprocessing.input_px)

    def to_images(self, photos: Sequence[Image.Image]) -> torch.Tensor:
        """Photos as the network takes them: float32 (n, 3, input_px, input_px), normalised."""
        return torch.stack([to_tensor(photo, self.preprocessing) for photo in photos])

    def logits(self, photos: Sequence[Image.Image]) -> np.ndarray:
        """Raw logits, float32 (n, 9), of RGB photos."""
        with torch.inference_mode():
            batches = [
                self.model(self.to_images(photos[start : start + BATCH])) for start in range(0, len(photos), BATCH)
            ]
        return torch.cat(batches).float().numpy() if batches else np.zeros((0, len(GENERA)), np.float32)

    def predict(self, photos: Sequence[Image.Image]) -> list[Prediction]:
        """The answer for each RGB photo, in order."""
        return self.read_logits(self.logits(photos))

    def predict_images(self, images: torch.Tensor) -> list[Prediction]:
        """The answer for each of a batch of images as ``to_images`` gives them."""
        with torch.inference_mode():
            return self.read_logits(self.model(images).float().numpy())

    def read_logits(self, logits: np.ndarray) -> list[Prediction]:
        """What logits (n, 9) say with this checkpoint's temperature and unknown threshold."""
        threshold = self.config.unknown_threshold
        answers = zip(logits, probabilities(logits, self.config.temperature), unknown_score(logits), strict=True)
        return [
            Prediction(
                genus=GENERA[int(probability.argmax())],
                confidence=float(probability.max()),
                probabilities=dict(zip(GENERA, probability.tolist(), strict=True)),
                unknown=threshold is not None and float(score) > threshold,
                unknown_score=float(score),
                logits=tuple(row.tolist()),
            )
            for row, probability, score in answers
        ]

    def explain(
        self,
        photo: Image.Image,
        genus: str | None = None,
        against: str | None = None,
        method: str = "gradcam",
        layers: str | Sequence[str] = "stages",
    ) -> Explanation:
        """Heatmaps of one photo for ``genus`` (the predicted one without) from one forward and one backward pass.

        ``against`` names the genus that a contrastive method argues against (the next most probable without).
        ``layers`` is ``"stages"``, ``"all"`` or layer names. Raises ExplanationError naming the valid choices.
        """
        chosen = self.choose_layers(layers)
        found = gradcam.heatmaps(
            self.model,
            self.to_images([photo]),
            [layer.name for layer in chosen],
            targets=None if genus is None else [class_index(genus)],
            method=method,
            against=None if against is None else [class_index(against)],
        )
        return self._explanations(found, chosen, method)[0]

    def explain_genera(
        self, photo: Image.Image, method: str = "gradcam", layers: str | Sequence[str] = "stages"
    ) -> dict[str, Explanation]:
        """Heatmaps of one photo for each of the nine genera, from one forward pass."""
        chosen = self.choose_layers(layers)
        names = [layer.name for layer in chosen]
        found = gradcam.heatmaps_of_every_class(self.model, self.to_images([photo]), names, method)
        return {explanation.genus: explanation for explanation in self._explanations(found, chosen, method)}

    def channels(self, photo: Image.Image, genus: str) -> gradcam.Channels:
        """Grad-CAM for ``genus`` at the last stage, taken apart into what it adds up."""
        last = [layer for layer in self.layers if layer.stage_end][-1]
        return gradcam.channels(self.model, self.to_images([photo]), last.name, class_index(genus))

    def cover(self, photo: Image.Image, mask: np.ndarray) -> Prediction:
        """The answer for ``photo`` with the part where ``mask``, bool (height, width), is true blurred away."""
        return self.predict([faithfulness.cover(photo, mask)])[0]

    @cached_property
    def default_layer(self) -> Layer:
        """The layer to show first."""
        return gradcam.default_layer(self.layers)

    def choose_layers(self, layers: str | Sequence[str]) -> tuple[Layer, ...]:
        """The layers meant by ``"stages"``, ``"all"`` or names, early to late; ExplanationError otherwise."""
        if layers == "all":
            return self.layers
        if layers == "stages":
            return tuple(layer for layer in self.layers if layer.stage_end or layer == self.default_layer)
        wanted = [layers] if isinstance(layers, str) else list(layers)
        known = [layer.name for layer in self.layers]
        for name in wanted:
            if name not in known:
                raise ExplanationError(f"There is no layer {name!r}: choose stages, all, or from {', '.join(known)}.")
        return tuple(layer for layer in self.layers if layer.name in wanted)

    def _explanations(self, found: LayerHeatmaps, chosen: tuple[Layer, ...], method: str) -> list[Explanation]:
        predictions = self.read_logits(found.logits.numpy())
        others = [None] * len(found.targets) if found.against is None else found.against.tolist()
        return [
            Explanation(
                genus=GENERA[target],
                against=None if other is None else GENERA[other],
                method=method,
                layers=chosen,
                heatmaps={layer.name: found.maps[layer.name][index].numpy() for layer in chosen},
                has_evidence={layer.name: bool(found.has_evidence[layer.name][index]) for layer in chosen},
                # All rows explain the same photo where there are more targets than photos.
                prediction=predictions[min(index, len(predictions) - 1)],
            )
            for index, (target, other) in enumerate(zip(found.targets.tolist(), others, strict=True))
        ]


def class_index(genus: str) -> int:
    """The class index of a genus, whatever its capitals; ExplanationError names the nine."""
    for index, name in enumerate(GENERA):
        if name.lower() == genus.strip().lower():
            return index
    raise ExplanationError(f"{genus!r} is none of the nine genera: {', '.join(GENERA)}.")
