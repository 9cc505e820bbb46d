"""Epochs, phases, the feature cache, early stopping and the history.

A frozen backbone gives the same features for the same picture every time, so in a frozen phase every augmented
view of a photo passes the backbone once and epochs run on what it answered. Everything random in an epoch is
seeded by the epoch's number: a run that is interrupted and resumed writes the history it would have written.
Where only the backbone's first stages are held, the same is done with the feature maps that they give.
``accelerate`` spreads the work over GPUs and machines.
"""

import csv
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from PIL import Image
from timm.data import Mixup
from timm.optim import param_groups_layer_decay
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset, WeightedRandomSampler
from torchvision.transforms.v2 import functional as pictures
from tqdm import tqdm

from mushroom.checkpoint import HISTORY_FILE, read_safetensors, save_checkpoint, write_safetensors, write_text
from mushroom.dataset import OTHER_FUNGUS, Prepared
from mushroom.errors import CheckpointError, TrainingError
from mushroom.evaluation.metrics import SUPPORTED_PHOTOS, macro_f1
from mushroom.genera import GENERA
from mushroom.model import (
    GenusNet,
    ModelConfig,
    freeze_backbone,
    freeze_stages,
    held_module,
)
from mushroom.photos import Preprocessing, read_photo_file, to_tensor
from mushroom.training.recipes import AUGMENTATIONS, Phase, Recipe, to_normalised

STATE_FOLDER = "training"
"""Inside the checkpoint folder while it is being trained: what resuming needs. Never published."""

HISTORY_COLUMNS = (
    "epoch",
    "phase",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "validation_macro_f1",
    "learning_rate",
    "seconds",
)

BACKGROUND = len(GENERA)
"""The label of a background photo: a tenth class whose logit is fixed at zero, so that nine are still nine."""

UNLABELLED = BACKGROUND + 1
"""The label of a photo of nobody knows what: it has a teacher's answer to learn from, and nothing else."""

MORE = "more"
"""Stands for the source of photos from outside the prepared folder."""

WARMUP_SHARE = 0.08
MAX_GRADIENT_NORM = 5.0
MIXUP_ALPHA = 0.2
CUTMIX_ALPHA = 1.0
LIMIT_ROUNDS = 30

AFTER_TRAINING = ("alike", "tuned_share", "new_head")
"""What a recipe says of the finished network: it may change between a run and its resumption."""

SAME_TARGETS = 0.02
"""A teacher's probabilities differ by less from one machine to another; from one teacher to another, by more."""

RGB_CHANNELS = 3

PLAIN_VIEW = -1
"""Stands for a view's seed where a photo is seen as it is."""

STAND_IN_PX = 32
"""Side of the blank image that the held stages are given where their feature maps are known already."""

KeptMaps = dict[tuple[Path, int], torch.Tensor]
"""What held stages made of a photo's view (channels, height, width), by its file and the view's seed."""


@dataclass(frozen=True)
class TrainingPhotos:
    """Photo files of one purpose: ``paths``, and ``labels`` int (n,) as class indices, BACKGROUND or UNLABELLED.

    ``targets`` float32 (n, 10) are the probabilities to be learned, BACKGROUND last; None where labels say all.
    ``numbers`` int (n,) tell photos apart, the same in every choice of photos; None counts these. ``sources`` (n,) say
    whose each photo is; None where nobody knows.
    """

    paths: Sequence[Path]
    labels: np.ndarray
    targets: np.ndarray | None = None
    numbers: np.ndarray | None = None
    sources: np.ndarray | None = None

    def number(self, index: int) -> int:
        """The number of one photo."""
        return index if self.numbers is None else int(self.numbers[index])

    def __len__(self) -> int:
        return len(self.paths)


class AugmentedViews(Dataset):
    """Normalised, augmented views (3, train_px, train_px) with their photos' indices.

    A view depends on seed, view and photo alone.
    """

    def __init__(self, photos: TrainingPhotos, recipe: Recipe, config: ModelConfig, seed: int, view: int) -> None:
        self.photos = photos
        self.augment = AUGMENTATIONS[recipe.augmentation](recipe.train_px)
        self.normalise = to_normalised(config.mean, config.std)
        # Python's own hash gives -1 and -2, the first two views that are kept, the same number.
        self.seed = int.from_bytes(hashlib.sha256(f"{seed} {view}".encode()).digest()[:4])

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        view = augmented(read_photo_file(self.photos.paths[index]), self.augment, self.view_seed(index))
        return self.normalise(view), index

    def view_seed(self, index: int) -> int:
        """What the view of one photo is drawn from."""
        return self.seed + self.photos.number(index)


class PlainViews(Dataset):
    """Photos exactly as the finished network will see them, (3, input_px, input_px), with their indices."""

    def __init__(self, photos: TrainingPhotos, config: ModelConfig) -> None:
        self.photos = photos
        self.preprocessing = Preprocessing(config.input_px, config.mean, config.std)

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        photo = read_photo_file(self.photos.paths[index])
        return to_tensor(photo, self.preprocessing), index

    def view_seed(self, index: int) -> int:
        """The same for all: nothing is drawn."""
        return PLAIN_VIEW


class KeptViews(Dataset):
    """Feature maps of views with their photos' indices, from those that are kept."""

    def __init__(self, views: AugmentedViews | PlainViews, kept: KeptMaps) -> None:
        self.views = views
        self.kept = kept

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.kept[self.views.photos.paths[index], self.views.view_seed(index)].float(), index


def training_photos(prepared: Prepared, known: pd.DataFrame, background: pd.DataFrame | None = None) -> TrainingPhotos:
    """The photos of rows of the manifest and, where given, of the background table, with their labels."""
    rows = known.to_dict("records") + ([] if background is None else background.to_dict("records"))
    labels = [GENERA.index(row["genus"]) if "genus" in row else BACKGROUND for row in rows]
    numbers = known.index if background is None else np.r_[known.index, len(prepared.manifest) + background.index]
    return TrainingPhotos(
        [prepared.photo_path(row) for row in rows],
        np.array(labels, dtype=np.int64),
        numbers=np.asarray(numbers),
        sources=np.array([str(row.get("source") or "") for row in rows]),
    )


def with_more(photos: TrainingPhotos, more: Sequence[Path], names: Mapping[Path, str]) -> TrainingPhotos:
    """``photos`` and ``more`` beside them, labelled as ``names`` has it: a genus, or OTHER_FUNGUS; else UNLABELLED.

    ``more`` are one source, and the numbers of its photos are negative, to be nobody else's.
    """
    known = {OTHER_FUNGUS: BACKGROUND} | {genus: index for index, genus in enumerate(GENERA)}
    labels = [known[names[path]] if path in names else UNLABELLED for path in more]
    return TrainingPhotos(
        [*photos.paths, *more],
        np.r_[photos.labels, np.array(labels, dtype=np.int64)],
        numbers=None if photos.numbers is None else np.r_[photos.numbers, -1 - np.arange(len(more))],
        sources=None if photos.sources is None else np.r_[photos.sources, np.full(len(more), MORE)],
    )


def augmented(photo: Image.Image, augment: Callable[[torch.Tensor], torch.Tensor], seed: int) -> torch.Tensor:
    """One view of ``photo``, uint8 (3, h, w), the same for the same seed and without touching global randomness."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return augment(pictures.pil_to_tensor(photo))


def train(
    model: GenusNet,
    config: ModelConfig,
    recipe: Recipe,
    training: TrainingPhotos,
    validation: TrainingPhotos,
    out: Path,
    *,
    seed: int = 0,
    resume: bool = False,
    workers: int = 0,
    mixed_precision: str | None = None,
    after_epoch: Callable[[GenusNet, int], None] | None = None,
    kept: KeptMaps | None = None,
) -> list[dict[str, Any]]:
    """Train ``model`` by ``recipe`` into the checkpoint folder ``out``; returns the rows of ``history.csv``.

    After every epoch ``history.csv``, the training state and, where the validation score is the best so far, the
    checkpoint are written whole. ``resume`` goes on after the last finished epoch. ``after_epoch`` is given the
    validated network and the epoch. ``kept`` carries what held stages made of photos from one run to the next that
    starts from the same network. Raises TrainingError when memory runs out or the loss is no longer a number.
    """
    accelerator = Accelerator(mixed_precision=mixed_precision)
    kept = {} if kept is None else kept
    run = _Run(accelerator, model, config, recipe, training, validation, out, seed, workers, after_epoch, kept)
    out.mkdir(parents=True, exist_ok=True)
    start = run.load_state() if resume else 0
    if not resume and (out / STATE_FOLDER / "state.json").exists():
        raise TrainingError(f"{out} already holds a training run: add --resume to go on with it, or choose another.")
    try:
        for stage in _stages(recipe):
            run.train_stage(stage, start)
    except torch.cuda.OutOfMemoryError as error:
        raise TrainingError(_out_of_memory(recipe)) from error
    except RuntimeError as error:
        if "not enough memory" in str(error) or "out of memory" in str(error):
            raise TrainingError(_out_of_memory(recipe)) from error
        raise
    return run.history


@dataclass(frozen=True)
class _Stage:
    """Phases that share one optimizer and one cosine, and the epoch before their first."""

    phases: tuple[Phase, ...]
    begins: int

    @property
    def epochs(self) -> int:
        return sum(phase.epochs for phase in self.phases)

    def numbered(self) -> Iterator[tuple[int, Phase]]:
        """Epoch numbers, counted from 1 over the whole recipe, with their phases."""
        epoch = self.begins
        for phase in self.phases:
            for _ in range(phase.epochs):
                epoch += 1
                yield epoch, phase


def _stages(recipe: Recipe) -> list[_Stage]:
    stages: list[_Stage] = []
    begins = 0
    for phase in recipe.phases:
        if phase.continues:
            stages[-1] = replace(stages[-1], phases=(*stages[-1].phases, phase))
        else:
            stages.append(_Stage((phase,), begins))
        begins += phase.epochs
    return stages


class _Run:
    """What one training run carries from epoch to epoch."""

    def __init__(
        self,
        accelerator: Accelerator,
        model: GenusNet,
        config: ModelConfig,
        recipe: Recipe,
        training: TrainingPhotos,
        validation: TrainingPhotos,
        out: Path,
        seed: int,
        workers: int,
        after_epoch: Callable[[GenusNet, int], None] | None,
        kept: KeptMaps,
    ) -> None:
        self.accelerator = accelerator
        # An order of the numbers in memory that convolutions are faster with.
        self.model = model.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.config = config
        self.recipe = recipe
        self.training = training
        self.validation = validation
        self.out = out
        self.seed = seed
        self.workers = workers
        self.after_epoch = after_epoch
        self.kept = kept
        keeping = [phase for phase in recipe.phases if phase.kept_views]
        self.held_stage = held_module(self.model.backbone, keeping[0].frozen_stages) if keeping else ""
        self.history: list[dict[str, Any]] = []
        self.best: tuple[float, float] = (-math.inf, -math.inf)
        self.best_epoch = 0
        self.resumed: dict[str, torch.Tensor] = {}

    def train_stage(self, stage: _Stage, done: int) -> None:
        """The epochs of one stage after epoch ``done`` of the run."""
        if done >= stage.begins + stage.epochs or self._stopped_early(stage):
            return
        frozen = stage.phases[0].frozen
        if done <= stage.begins and self.best_epoch:
            self._load_best()
        if frozen:
            freeze_backbone(self.model)
            views = cache_features(self, self.training, self.recipe.views)
            checked = cache_features(self, self.validation, 0)[0]
            trained: nn.Module = self.model.head
        else:
            self.model.requires_grad_(True)
            trained = self.model
        held = [] if frozen else freeze_stages(self.model, stage.phases[0].frozen_stages)
        optimizer = make_optimizer(self.model, stage.phases[0], self.recipe)
        average = None
        if stage.phases[0].ema:
            average = AveragedModel(
                self.model, multi_avg_fn=get_ema_multi_avg_fn(stage.phases[0].ema), use_buffers=True
            )
        if done > stage.begins:
            self._restore(optimizer, average)
        prepared, optimizer = self.accelerator.prepare(trained, optimizer)

        for epoch, phase in stage.numbered():
            if epoch <= done:
                continue
            began = time.perf_counter()
            set_seed(self.seed * 100_003 + epoch)
            if frozen:
                view = views[(epoch - 1) % len(views)]
                source: Dataset = TensorDataset(view, torch.arange(len(self.training)))
            else:
                view_number = -1 - (epoch - 1) % phase.kept_views if phase.kept_views else epoch
                source = self._seen(AugmentedViews(self.training, self.recipe, self.config, self.seed, view_number))
            in_memory = frozen or isinstance(source, KeptViews)
            loader = self._loader(source, epoch, workers=0 if in_memory else self.workers)
            prepared.train()
            for module in held:
                module.eval()
            rate, loss, accuracy = self._train_epoch(stage, phase, epoch, prepared, optimizer, average, loader, frozen)
            validated = self.model if average is None else cast(GenusNet, average.module)
            logits = self._head_logits(checked) if frozen else self._logits(validated)
            self._record(epoch, phase, validated, logits, rate, loss, accuracy, time.perf_counter() - began)
            self._save_state(epoch, optimizer, average)
            if self.after_epoch and self.accelerator.is_main_process:
                self.after_epoch(validated, epoch)
            if self._stopped_early(stage):
                break
        self.accelerator.free_memory()

    def _train_epoch(
        self,
        stage: _Stage,
        phase: Phase,
        epoch: int,
        trained: nn.Module,
        optimizer: Any,
        average: AveragedModel | None,
        loader: DataLoader,
        frozen: bool,
    ) -> tuple[float, float, float]:
        """One epoch; returns the last learning rate, the mean loss and the training accuracy."""
        device = self.accelerator.device
        all_labels = torch.from_numpy(self.training.labels).to(device)
        taught = None if self.training.targets is None else torch.from_numpy(self.training.targets).to(device)
        background = taught is not None or bool((self.training.labels == BACKGROUND).any())
        classes = BACKGROUND + 1 if background else BACKGROUND
        weights = class_weights(self.training.labels, classes).to(device) if phase.class_weighted else None
        mixup = None
        if phase.mix and not frozen:
            mixup = Mixup(
                MIXUP_ALPHA,
                CUTMIX_ALPHA,
                prob=phase.mix,
                label_smoothing=phase.label_smoothing if taught is None else 0.0,
                num_classes=classes,
                # timm's name for targets that are not one class.
                multi_label=taught is not None,
            )
        total_steps = len(loader) * stage.epochs
        step = len(loader) * (epoch - stage.begins - 1)
        rate, summed, right, labelled, count = 0.0, 0.0, 0, 0, 0
        bar = tqdm(
            loader,
            desc=f"epoch {epoch} {phase.name}",
            unit="batch",
            disable=not self.accelerator.is_main_process,
            leave=False,
        )
        for images, indices in bar:
            labels = all_labels[indices]
            factor = cosine_factor(step, total_steps)
            for group in optimizer.param_groups:
                group["lr"] = group["peak_learning_rate"] * factor
            rate = max(group["lr"] for group in optimizer.param_groups)
            targets: torch.Tensor = labels if taught is None else taught[indices]
            # Mixup pairs a batch with itself reversed and takes even batches only.
            if mixup is not None and len(images) % 2 == 0:
                images, targets = mixup(images, targets)
            with self.accelerator.autocast():
                logits = trained(images) if frozen else self._answer(trained, self.model.backbone, images)
            logits = logits.float()
            if background:
                logits = functional.pad(logits, (0, 1))
            smoothing = phase.label_smoothing if targets.dim() == 1 else 0.0
            loss = functional.cross_entropy(logits, targets, weight=weights, label_smoothing=smoothing)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"The loss is not a number any more in epoch {epoch}: try a smaller learning rate. "
                    f"The checkpoint of epoch {self.best_epoch} is kept in {self.out}."
                )
            self.accelerator.backward(loss)
            self.accelerator.clip_grad_norm_(trained.parameters(), MAX_GRADIENT_NORM)
            optimizer.step()
            optimizer.zero_grad()
            if average is not None:
                average.update_parameters(self.model)
            step += 1
            summed += float(loss.detach()) * len(labels)
            right += int((logits.detach().argmax(1) == labels).sum())
            labelled += int((labels != UNLABELLED).sum())
            count += len(labels)
            bar.set_postfix(loss=f"{summed / count:.3f}", accuracy=f"{right / max(labelled, 1):.3f}", refresh=False)
        return rate, summed / max(count, 1), right / max(labelled, 1)

    def _loader(self, source: Dataset, epoch: int, workers: int) -> DataLoader:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + epoch)
        sampler = WeightedRandomSampler(
            draw_weights(self.training.labels, self.recipe, self.training.sources).tolist(),
            num_samples=epoch_length(self.training.labels, self.recipe),
            replacement=self.recipe.balance > 0 or self.recipe.source_balance > 0,
            generator=generator,
        )
        # A last batch of one photo has no variance for batch norm to divide by.
        drop_last = epoch_length(self.training.labels, self.recipe) > self.recipe.batch
        loader = DataLoader(
            source, batch_size=self.recipe.batch, sampler=sampler, num_workers=workers, drop_last=drop_last
        )
        return self.accelerator.prepare(loader)

    @torch.inference_mode()
    def _head_logits(self, features: torch.Tensor) -> torch.Tensor:
        self.model.eval()
        return self.model.head(features.to(self.accelerator.device)).float().cpu()

    @torch.inference_mode()
    def _logits(self, network: nn.Module) -> torch.Tensor:
        network.eval()
        return self._through(network, self._seen(PlainViews(self.validation, self.config)), "validation")

    def _seen(self, views: AugmentedViews | PlainViews) -> Dataset:
        """What the network is given of ``views``: themselves, or what its held stages made of them."""
        if not self.held_stage:
            return views
        paths = views.photos.paths
        missing = [index for index, path in enumerate(paths) if (path, views.view_seed(index)) not in self.kept]
        if missing:
            self._check_held(views, missing[0])
            upto = _UpTo(self.model.backbone, self.model.backbone.get_submodule(self.held_stage))
            maps = self._through(upto.eval(), Subset(views, missing), "held stages")
            for index, feature_map in zip(missing, maps, strict=True):
                self.kept[paths[index], views.view_seed(index)] = feature_map.half()
        return KeptViews(views, self.kept)

    @torch.inference_mode()
    def _check_held(self, views: AugmentedViews | PlainViews, index: int) -> None:
        """Raise TrainingError unless the rest of the backbone answers from the held stages' maps alone."""
        backbone = self.model.backbone.eval()
        image = views[index][0][None].to(self.accelerator.device)
        maps = _UpTo(backbone, backbone.get_submodule(self.held_stage))(image)
        if not torch.allclose(backbone(image), self._answer(backbone, backbone, maps), rtol=1e-3, atol=1e-4):
            raise TrainingError(
                f"What {self.config.backbone} sees behind {self.held_stage} does not follow from that stage alone: "
                "train it without kept views."
            )

    def _answer(self, network: nn.Module, backbone: nn.Module, given: torch.Tensor) -> torch.Tensor:
        """What ``network``, which holds ``backbone``, answers to images, or to its held stages' maps of them."""
        if given.shape[1] == RGB_CHANNELS:
            return network(given)
        hook = backbone.get_submodule(self.held_stage).register_forward_hook(lambda *_: given)
        try:
            return network(given.new_zeros(len(given), RGB_CHANNELS, STAND_IN_PX, STAND_IN_PX))
        finally:
            hook.remove()

    @torch.inference_mode()
    def _through(self, network: nn.Module, source: Dataset, title: str) -> torch.Tensor:
        """What ``network`` answers for every picture of ``source``, in order, on the CPU."""
        workers = 0 if isinstance(source, KeptViews) else self.workers
        loader = self.accelerator.prepare(DataLoader(source, batch_size=self.recipe.batch, num_workers=workers))
        bar = tqdm(loader, desc=title, unit="batch", disable=not self.accelerator.is_main_process, leave=False)
        answers = []
        for images, _ in bar:
            with self.accelerator.autocast():
                answer = self._answer(network, cast(nn.Module, getattr(network, "backbone", network)), images)
            answers.append(self.accelerator.gather_for_metrics(answer.float()).cpu())
        return torch.cat(answers)

    def _record(
        self,
        epoch: int,
        phase: Phase,
        validated: nn.Module,
        logits: torch.Tensor,
        rate: float,
        loss: float,
        accuracy: float,
        seconds: float,
    ) -> None:
        labels = torch.from_numpy(self.validation.labels)
        validation_loss = float(functional.cross_entropy(logits, labels))
        predicted = logits.argmax(1).numpy()
        score = macro_f1(self.validation.labels, predicted, scored_genera(self.validation.labels))
        row = {
            "epoch": epoch,
            "phase": phase.name,
            "train_loss": round(loss, 5),
            "train_accuracy": round(accuracy, 5),
            "validation_loss": round(validation_loss, 5),
            "validation_accuracy": round(float((predicted == self.validation.labels).mean()), 5),
            "validation_macro_f1": round(score, 5),
            "learning_rate": float(f"{rate:.4g}"),
            "seconds": round(seconds, 2),
        }
        self.history.append(row)
        if (score, -validation_loss) > self.best:
            self.best, self.best_epoch = (score, -validation_loss), epoch
            if self.accelerator.is_main_process:
                save_checkpoint(self.out, validated, self.config, half=self.recipe.half)  # type: ignore[arg-type]
        if self.accelerator.is_main_process:
            write_history(self.out / HISTORY_FILE, self.history)
            tqdm.write(
                f"epoch {epoch:>3} {phase.name:<14} train loss {row['train_loss']:.4f} accuracy "
                f"{row['train_accuracy']:.4f} | validation loss {row['validation_loss']:.4f} accuracy "
                f"{row['validation_accuracy']:.4f} macro-F1 {row['validation_macro_f1']:.4f} | {row['seconds']:.1f} s"
            )

    def _stopped_early(self, stage: _Stage) -> bool:
        if not self.history or not stage.phases[-1].patience:
            return False
        last = self.history[-1]["epoch"]
        within = last > stage.begins
        return within and last - max(self.best_epoch, stage.begins) >= stage.phases[-1].patience

    def _load_best(self) -> None:
        """Each stage starts from the best network so far, not from the last."""
        state = read_safetensors(self.out / "model.safetensors")
        self.model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})

    def _save_state(self, epoch: int, optimizer: Any, average: AveragedModel | None) -> None:
        if not self.accelerator.is_main_process:
            return
        tensors = {f"model.{key}": value for key, value in self.model.state_dict().items()}
        for index, values in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in values.items()}
        if average is not None:
            tensors |= {f"average.{key}": value for key, value in average.state_dict().items()}
        if self.training.targets is not None:
            tensors["targets"] = torch.from_numpy(self.training.targets)
        folder = self.out / STATE_FOLDER
        folder.mkdir(exist_ok=True)
        # Cloned because tensors that share memory can't be stored side by side.
        write_safetensors(
            folder / f"state-{epoch}.safetensors",
            {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()},
        )
        state = {
            "epoch": epoch,
            "best": list(self.best),
            "best_epoch": self.best_epoch,
            "history": self.history,
            "identity": self._identity(),
        }
        write_text(folder / "state.json", json.dumps(state))
        for old in folder.glob("state-*.safetensors"):
            if old.name != f"state-{epoch}.safetensors":
                old.unlink()

    def load_state(self) -> int:
        """Take up the last finished epoch; 0 where there is none."""
        folder = self.out / STATE_FOLDER
        if not (folder / "state.json").exists():
            return 0
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        if state["identity"] != self._identity():
            raise TrainingError(_another_run(self.out))
        self.history = state["history"]
        self.best, self.best_epoch = tuple(state["best"]), state["best_epoch"]
        try:
            self.resumed = read_safetensors(folder / f"state-{state['epoch']}.safetensors")
        except CheckpointError as error:
            raise TrainingError(f"The run in {self.out} can't be resumed: {error}") from error
        targets = self.training.targets
        if targets is not None and not np.allclose(self.resumed.pop("targets").numpy(), targets, atol=SAME_TARGETS):
            raise TrainingError(_another_run(self.out))
        own = {k.removeprefix("model."): v for k, v in self.resumed.items() if k.startswith("model.")}
        self.model.load_state_dict(own)
        return int(state["epoch"])

    def _restore(self, optimizer: torch.optim.Optimizer, average: AveragedModel | None) -> None:
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in self.resumed.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".", 2)
                state.setdefault(int(index), {})[name] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        if average is not None:
            own = {k.removeprefix("average."): v for k, v in self.resumed.items() if k.startswith("average.")}
            average.load_state_dict(own)

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a run to be resumed."""
        recipe = json.loads(json.dumps(asdict(self.recipe)))
        return {
            "recipe": {name: value for name, value in recipe.items() if name not in AFTER_TRAINING},
            "backbone": self.config.backbone,
            "data": self.config.data_fingerprint,
            "seed": self.seed,
            "labels": hashlib.sha256(self.training.labels.tobytes()).hexdigest(),
            "targets": None if self.training.targets is None else list(self.training.targets.shape),
        }


class _UpTo(nn.Module):
    """A backbone up to the end of one of its stages: images to that stage's feature maps."""

    def __init__(self, backbone: nn.Module, stage: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.stage = stage

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hook = self.stage.register_forward_hook(_stop)
        try:
            self.backbone(images)
        except _Reached as reached:
            return reached.maps
        finally:
            hook.remove()
        raise TrainingError("The backbone never came to the stage that is held.")


class _Reached(Exception):
    """Ends a forward pass where the rest of it is not wanted."""

    def __init__(self, maps: torch.Tensor) -> None:
        super().__init__()
        self.maps = maps


def _stop(_module: nn.Module, _given: Any, maps: torch.Tensor) -> None:
    raise _Reached(maps)


def cache_features(run: _Run, photos: TrainingPhotos, views: int) -> list[torch.Tensor]:
    """Features (n, d) of every photo from the frozen backbone, for ``views`` augmented views, or plain for 0.

    They are also kept in the training folder under a name made from all that decides them, for resuming.
    """
    key = hashlib.sha256(json.dumps([*map(str, photos.paths), str(run._identity()), views]).encode())
    for name, value in run.model.backbone.state_dict().items():
        key.update(f"{name} {float(value.float().sum())}".encode())
    path = run.out / STATE_FOLDER / f"features-{key.hexdigest()[:16]}.safetensors"
    if path.exists():
        stored = read_safetensors(path)
        return [stored[f"view-{view}"] for view in range(max(views, 1))]
    run.model.eval()
    features = []
    for view in range(max(views, 1)):
        source: AugmentedViews | PlainViews = PlainViews(photos, run.config)
        if views:
            source = AugmentedViews(photos, run.recipe, run.config, run.seed, -1 - view)
        title = f"features {view + 1}/{views}" if views else "features of validation"
        features.append(run._through(run.model.backbone, run._seen(source), title).clone())
    if run.accelerator.is_main_process:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_safetensors(path, {f"view-{view}": values for view, values in enumerate(features)})
    return features


def make_optimizer(model: GenusNet, phase: Phase, recipe: Recipe) -> torch.optim.Optimizer:
    """Adam over what the phase trains, with each group's ``peak_learning_rate``.

    Layers of the backbone learn the slower the further they are from the head (Clark et al. 2020, as timm
    groups them); a backbone that timm can't group learns at one slower rate.
    """
    head = {"params": list(model.head.parameters()), "peak_learning_rate": phase.learning_rate}
    groups: list[dict[str, Any]] = [head]
    if not phase.frozen and hasattr(model.backbone, "group_matcher"):
        layered = param_groups_layer_decay(
            model.backbone, weight_decay=phase.weight_decay, layer_decay=phase.layer_decay
        )
        for group in layered:
            scale = group.pop("lr_scale")
            groups.append({**group, "peak_learning_rate": phase.learning_rate * scale})
    elif not phase.frozen:
        rate = phase.learning_rate * phase.layer_decay
        groups.append({"params": list(model.backbone.parameters()), "peak_learning_rate": rate})
    kind = torch.optim.AdamW if recipe.adam_decoupled else torch.optim.Adam
    return kind(groups, lr=phase.learning_rate, weight_decay=phase.weight_decay)


@torch.inference_mode()
def plain_logits(network: nn.Module, photos: TrainingPhotos, config: ModelConfig, workers: int) -> torch.Tensor:
    """What ``network`` answers (n, ...) to photos exactly as the finished network will see them."""
    network.eval()
    bar = tqdm(DataLoader(PlainViews(photos, config), batch_size=32, num_workers=workers), unit="batch", leave=False)
    return torch.cat([network(images).float() for images, _ in bar])


def taught(photos: TrainingPhotos, logits: torch.Tensor, share: float) -> TrainingPhotos:
    """``photos`` with targets: ``share`` of each is the teacher's answer to the plain photo, the rest its label.

    ``logits`` (n, genera) are what the teacher answered, once a photo, not once a view: on a CPU its passes would take
    longer than the student's.
    """
    answers = functional.pad(logits.float(), (0, 1)).softmax(1)
    labels = torch.from_numpy(photos.labels)
    told = functional.one_hot(labels.clamp(max=BACKGROUND), BACKGROUND + 1).float()
    share_of = torch.where(labels == UNLABELLED, 1.0, share)[:, None]
    return replace(photos, targets=(share_of * answers + (1 - share_of) * told).numpy())


def cosine_factor(step: int, total: int) -> float:
    """Share of the peak learning rate at ``step`` of ``total``: a short rise, then half a cosine to zero."""
    rise = max(1, int(total * WARMUP_SHARE))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))


def class_weights(labels: np.ndarray, classes: int) -> torch.Tensor:
    """Weight (classes,) of each class in the loss: inverse to its count, mean 1 over the photos."""
    counts = np.bincount(labels, minlength=classes).astype(np.float64)
    weights = np.where(counts > 0, len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1)), 0.0)
    return torch.tensor(weights, dtype=torch.float32)


def draw_weights(labels: np.ndarray, recipe: Recipe, sources: np.ndarray | None = None) -> np.ndarray:
    """How often each photo (n,) is drawn, relative to the others; photos without a genus have fixed shares.

    ``sources`` (n,) say whose each photo is. Drawing a genus's sources more evenly leaves the genus its share.
    """
    counts = np.bincount(labels, minlength=UNLABELLED + 1).astype(np.float64)
    weights = np.maximum(counts, 1)[labels] ** -recipe.balance
    if sources is not None and recipe.source_balance:
        weights *= _evened(labels, sources, recipe.source_balance)
    known = labels < BACKGROUND
    if recipe.most_draws and known.any():
        # What the limit takes from one photo falls to the others, and may lift some of them over it.
        for _ in range(LIMIT_ROUNDS):
            weights = np.minimum(weights / weights[known].mean(), recipe.most_draws)
    shares = _shares(labels, recipe)
    total = weights[known].sum()
    for label, share in shares.items():
        chosen = labels == label
        weights[chosen] = total * share / (1 - sum(shares.values())) / chosen.sum()
    return weights


def _evened(labels: np.ndarray, sources: np.ndarray, balance: float) -> np.ndarray:
    """Factors (n,), mean 1 in each genus: a genus's photos from one source count to the power of minus ``balance``."""
    table = pd.DataFrame({"genus": labels, "source": sources})
    factors = table.groupby(["genus", "source"]).genus.transform("size").astype(float) ** -balance
    return (factors / factors.groupby(table.genus).transform("mean")).to_numpy()


def epoch_length(labels: np.ndarray, recipe: Recipe) -> int:
    """Photos drawn in an epoch: as many as known ones, and the shares of the others on top."""
    return round(int((labels < BACKGROUND).sum()) / (1 - sum(_shares(labels, recipe).values())))


def _shares(labels: np.ndarray, recipe: Recipe) -> dict[int, float]:
    """The share of an epoch that each kind of photo without a genus has, of those that there are."""
    shares = {BACKGROUND: recipe.background, UNLABELLED: recipe.unlabelled}
    return {label: share for label, share in shares.items() if share and (labels == label).any()}


def scored_genera(labels: np.ndarray) -> list[int]:
    """Class indices with enough validation photos to decide by; all that occur where none has.

    Of a genus with a handful of photos, one alone would move the mean F1 by far, and choose the epoch by chance.
    """
    counts = np.bincount(labels)
    enough = [int(index) for index in np.flatnonzero(counts >= SUPPORTED_PHOTOS)]
    return enough or [int(index) for index in np.flatnonzero(counts)]


def expect_alike(network: GenusNet, photos: TrainingPhotos, recipe: Recipe) -> None:
    """Move the biases of ``network``'s head towards expecting every genus alike, ``recipe.alike`` of the way, in place.

    A network learns how often each genus was drawn, too, and elsewhere other genera are common: that part of its
    logits, the logarithm of a genus's share, is taken back (Menon et al. 2021, "Long-tail learning via logit
    adjustment"). The mean over what was drawn stays, so that the measure of the unknown keeps its place.
    """
    known = photos.labels < BACKGROUND
    weights = draw_weights(photos.labels, recipe, photos.sources)[known]
    shares = np.bincount(photos.labels[known], weights=weights, minlength=BACKGROUND) / weights.sum()
    shift = np.where(shares > 0, -recipe.alike * np.log(np.where(shares > 0, shares, 1.0)), 0.0)
    last = cast(nn.Linear, network.head[-1])
    with torch.no_grad():
        last.bias.add_(torch.as_tensor(shift - shares @ shift, dtype=last.bias.dtype, device=last.bias.device))


def write_history(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """``history.csv``, a row an epoch, whole or not at all."""
    lines = [",".join(HISTORY_COLUMNS)] + [",".join(str(row[name]) for name in HISTORY_COLUMNS) for row in rows]
    write_text(path, "\n".join(lines) + "\n")


def read_history(path: Path) -> list[dict[str, Any]]:
    """The rows of ``history.csv`` with numbers as numbers."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {key: value if key == "phase" else float(value) for key, value in row.items()}
            for row in csv.DictReader(file)
        ]


def _another_run(folder: Path) -> str:
    return f"{folder} was trained with other data, another recipe, teacher or seed: it can't be resumed with these."


def _out_of_memory(recipe: Recipe) -> str:
    return (
        f"Memory ran out at {recipe.batch} photos a batch: try --batch {max(2, recipe.batch // 2)}. "
        "The last good checkpoint is kept."
    )
