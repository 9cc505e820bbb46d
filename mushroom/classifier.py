"""The façade that pages, command line and notebooks use: load a checkpoint, predict, explain, cover.

One ``Classifier`` serves many threads at once. Its network is in eval mode without gradients from the moment it
is loaded, and nothing here changes that.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from mushroom.calibration import probabilities, unknown_score
from mushroom.checkpoint import (
    HUB_PREFIX,
    checkpoint_identity,
    checkpoints_folder,
    find_checkpoint,
    list_checkpoints,
    load_checkpoint,
    weights_hash,
)
from mushroom.errors import CheckpointError, ExplanationError, PredictError
from mushroom.explain import faithfulness, gradcam
from mushroom.explain.gradcam import LayerHeatmaps
from mushroom.explain.layers import Layer, default_layer, find_layers
from mushroom.explain.methods import methods_for
from mushroom.genera import OTHER_FUNGUS
from mushroom.model import feature_count
from mushroom.photos import Preprocessing, to_tensor

BATCH = 32
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True)
class Prediction:
    """The network's answer for one photo.

    ``genus`` is the most probable of the checkpoint's genera and ``confidence`` its calibrated probability;
    ``probabilities``, in the checkpoint's order, sum to 1. ``unknown`` says that the photo is none of them, as far as
    the network can tell: its ``unknown_score`` exceeds the checkpoint's threshold. ``logits`` are the genera's.
    ``other_genus`` is the most likely of the other genera that the network knows by name, and
    ``other_confidence`` its share of all that the network holds possible, 0 to 1; None and 0 where it knows none.
    """

    genus: str
    confidence: float
    probabilities: dict[str, float]
    unknown: bool
    unknown_score: float
    logits: tuple[float, ...]
    other_genus: str | None = None
    other_confidence: float = 0.0

    @property
    def answer(self) -> str | None:
        """What a visitor is told: the genus, or None, that it is none of them, whichever comes nearest."""
        return None if self.unknown else self.genus


@dataclass(frozen=True)
class Explanation:
    """Heatmaps of one photo for one genus, early layers first, with what is needed to show them.

    ``heatmaps`` maps a layer's name to float32 (height, width) in [0, 1] at feature-map size; where
    ``has_evidence`` is false nothing speaks for the genus and the heatmap is all zeros. ``evidence`` is what the
    heatmap was before it was scaled to its own hottest place, of any sign and size. ``against`` is the genus
    that a contrastive explanation argues against, otherwise None.
    """

    genus: str
    against: str | None
    method: str
    layers: tuple[Layer, ...]
    heatmaps: dict[str, np.ndarray]
    has_evidence: dict[str, bool]
    evidence: dict[str, np.ndarray]
    prediction: Prediction


class Classifier:
    """A loaded checkpoint: photos in, genera and heatmaps out."""

    def __init__(self, folder: Path, device: str, batch: int) -> None:
        model, config = load_checkpoint(folder)
        if batch < 1:
            raise PredictError(f"A batch of {batch} photos answers nothing: use 1 or more.")
        self.device = choose_device(device)
        self.model = model.to(self.device)
        self.config = config
        self.folder = folder
        # Hashed now: the files may change while this classifier answers.
        self.weights_sha256 = weights_hash(folder)
        """Hash of the weights file: tells whether two reports speak of the same network."""
        self.identity = checkpoint_identity(folder, self.weights_sha256)
        """Hash of weights and config: two classifiers of one identity give the same answers."""
        self.batch = batch
        self.preprocessing = Preprocessing(config.input_px, config.mean, config.std)
        self.forward_images: Callable[[torch.Tensor], np.ndarray] | None = None
        """What gives a batch's logits in the place of torch; see ``engine.py``. Heatmaps stay with torch."""

    @classmethod
    def load(cls, checkpoint: str | Path | None = None, *, device: str = "cpu", batch: int = BATCH) -> "Classifier":
        """The classifier of a checkpoint folder, of one at hand by its name, or of ``hf://user/name@revision``.

        Without ``checkpoint`` it is the default one. ``device`` is one of ``DEVICES``; ``batch`` photos are answered
        at a time. Raises CheckpointError or PredictError with a sentence where it can't be used.
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
        return cls(find_checkpoint(checkpoint), device, batch)

    @property
    def genera(self) -> tuple[str, ...]:
        """The names it answers with, in the order of the logits."""
        return self.config.genera

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer a heatmap can be taken from, early to late."""
        return find_layers(self.model, self.preprocessing.input_px)

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The methods that make sense at this network's layers, by their keys in ``METHODS``."""
        return methods_for(self.layers)

    def to_images(self, photos: Sequence[Image.Image]) -> torch.Tensor:
        """Photos as the network takes them: float32 (n, 3, input_px, input_px), normalised."""
        return torch.stack([to_tensor(photo, self.preprocessing) for photo in photos])

    def logits(self, photos: Sequence[Image.Image]) -> np.ndarray:
        """Raw logits, float32 (n, genera + other genera), of RGB photos."""
        return self._batched(self.image_logits, photos, self.config.logit_count)

    def features(self, photos: Sequence[Image.Image]) -> np.ndarray:
        """What the backbone makes of RGB photos before the head: float32 (n, features)."""
        backbone = self.model.backbone
        return self._batched(lambda images: self._forward(backbone, images), photos, feature_count(backbone))

    def predict(self, photos: Sequence[Image.Image]) -> list[Prediction]:
        """The answer for each RGB photo, in order."""
        return self.read_logits(self.logits(photos))

    def predict_together(self, photos: Sequence[Image.Image]) -> Prediction:
        """One answer for several RGB photos of one mushroom: the mean of their log-probabilities.

        The unknown score is the mean of the photos' own. Raises PredictError without a photo.
        """
        if not photos:
            raise PredictError("There is no photo to predict from.")
        return self.read_together(self.logits(photos))

    def predict_images(self, images: torch.Tensor) -> list[Prediction]:
        """The answer for each of a batch of images as ``to_images`` gives them."""
        return self.read_logits(self.image_logits(images))

    def image_logits(self, images: torch.Tensor) -> np.ndarray:
        """Raw logits, float32 (n, genera + other genera), of a batch of images as ``to_images`` gives them."""
        return self.forward_images(images) if self.forward_images else self._forward(self.model, images)

    def read_logits(self, logits: np.ndarray) -> list[Prediction]:
        """What logits (n, genera + other genera) say with this checkpoint's temperature and unknown threshold."""
        scores = unknown_score(logits, len(self.genera))
        return [self._read(row, score) for row, score in zip(logits, scores, strict=True)]

    def read_together(self, logits: np.ndarray) -> Prediction:
        """What the logits of several photos of one mushroom say together; see ``predict_together``."""
        # The softmax of mean logits is the normalised mean of the log-probabilities.
        return self._read(logits.mean(axis=0), float(unknown_score(logits, len(self.genera)).mean()))

    def _read(self, logits: np.ndarray, score: float) -> Prediction:
        """The answer that one row of logits is, with its unknown score."""
        count, threshold = len(self.genera), self.config.unknown_threshold
        [probability] = probabilities(logits[None, :count], self.config.temperature)
        other, other_confidence = None, 0.0
        if self.config.other_genera:
            [shares] = probabilities(logits[None], self.config.temperature)
            name = self.config.other_genera[int(shares[count:].argmax())]
            # A network that knows other fungi only as "other" can name none.
            other, other_confidence = (None if name == OTHER_FUNGUS else name), float(shares[count:].max())
        return Prediction(
            genus=self.genera[int(probability.argmax())],
            confidence=float(probability.max()),
            probabilities=dict(zip(self.genera, probability.tolist(), strict=True)),
            unknown=threshold is not None and float(score) > threshold,
            unknown_score=float(score),
            logits=tuple(logits[:count].tolist()),
            other_genus=other,
            other_confidence=other_confidence,
        )

    def _batched(
        self, forward: Callable[[torch.Tensor], np.ndarray], photos: Sequence[Image.Image], width: int
    ) -> np.ndarray:
        """What ``forward`` makes of photos, a batch at a time: float32 (n, width)."""
        starts = range(0, len(photos), self.batch)
        rows = [forward(self.to_images(photos[start : start + self.batch])) for start in starts]
        return np.concatenate(rows) if rows else np.zeros((0, width), np.float32)

    def _forward(self, network: nn.Module, images: torch.Tensor) -> np.ndarray:
        """One forward pass on this classifier's device.

        On CUDA in half precision, where it is faster and logits agree to about a hundredth; elsewhere in float32,
        because half precision there is slower or changes answers.
        """
        half = torch.autocast("cuda", dtype=torch.float16, enabled=self.device.type == "cuda")
        with memory_for(len(images), self.device), torch.inference_mode(), half:
            return network(images.to(self.device)).float().cpu().numpy()

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
        return self.explain_photos([photo], genus, against, method, layers)[0]

    def explain_photos(
        self,
        photos: Sequence[Image.Image],
        genus: str | None = None,
        against: str | None = None,
        method: str = "gradcam",
        layers: str | Sequence[str] = "stages",
    ) -> list[Explanation]:
        """``explain`` of each of a batch of RGB photos, from one forward and one backward pass for all of them."""
        chosen = self.choose_layers(layers)
        images = self.to_images(photos)
        with memory_for(len(images), self.device):
            found = gradcam.heatmaps(
                self.model,
                images.to(self.device),
                [layer.name for layer in chosen],
                targets=None if genus is None else [self.class_index(genus)] * len(photos),
                method=method,
                against=None if against is None else [self.class_index(against)] * len(photos),
                answers=len(self.genera),
            )
        return self._explanations(found, chosen, method)

    def channels(self, photo: Image.Image, genus: str) -> gradcam.Channels:
        """Grad-CAM for ``genus`` at the last stage, taken apart into what it adds up."""
        last = [layer for layer in self.layers if layer.stage_end][-1]
        return gradcam.channels(self.model, self.to_images([photo]).to(self.device), last.name, self.class_index(genus))

    def cover(self, photo: Image.Image, mask: np.ndarray) -> Prediction:
        """The answer for ``photo`` with the part where ``mask``, bool (height, width), is true blurred away."""
        return self.predict([faithfulness.cover(photo, mask)])[0]

    def class_index(self, genus: str) -> int:
        """The index of the logit of a genus, whatever its capitals; ExplanationError names the genera."""
        wanted = genus.strip().casefold()
        for index, name in enumerate((*self.genera, *self.config.other_genera)):
            if name.casefold() == wanted:
                return index
        raise ExplanationError(f"{genus!r} is none of the genera of this checkpoint: {', '.join(self.genera)}.")

    @cached_property
    def default_layer(self) -> Layer:
        """The layer to show first."""
        return default_layer(self.layers)

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
        predictions = self.read_logits(found.logits.cpu().numpy())
        names = (*self.genera, *self.config.other_genera)
        others = [None] * len(found.targets) if found.against is None else found.against.tolist()
        return [
            Explanation(
                genus=names[target],
                against=None if other is None else names[other],
                method=method,
                layers=chosen,
                heatmaps={layer.name: found.maps[layer.name][index].cpu().numpy() for layer in chosen},
                evidence={layer.name: found.evidence[layer.name][index].cpu().numpy() for layer in chosen},
                has_evidence={layer.name: bool(found.has_evidence[layer.name][index]) for layer in chosen},
                # All rows explain the same photo where there are more targets than photos.
                prediction=predictions[min(index, len(predictions) - 1)],
            )
            for index, (target, other) in enumerate(zip(found.targets.tolist(), others, strict=True))
        ]


def choose_device(name: str) -> torch.device:
    """The device of a name of ``DEVICES``; ``auto`` is the fastest there is. PredictError where there is none such."""
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(device for device in ("cuda", "mps", "cpu") if present[device])
    if name not in present:
        raise PredictError(f"There is no device named {name!r}: choose from {', '.join(DEVICES)}.")
    if not present[name]:
        raise PredictError(f"This machine has no {name} device that can be used: choose auto or cpu.")
    return torch.device(name)


@contextmanager
def memory_for(count: int, device: torch.device) -> Iterator[None]:
    """PredictError, with what to do about it, where ``count`` photos at a time don't fit into a device's memory."""
    try:
        yield
    # CUDA has a type for it, the processor and MPS have not.
    except RuntimeError as error:
        if "out of memory" not in str(error) and "not enough memory" not in str(error):
            raise
        photos = "One photo doesn't" if count == 1 else f"{count} photos at a time don't"
        advice = "use --device cpu" if count == 1 else f"give a smaller --batch than {count}"
        raise PredictError(f"{photos} fit into the memory of the device {device.type}: {advice}.") from error
