"""Phases and epochs: a network learns, is validated, and its best state becomes the checkpoint.

A frozen backbone gives the same features for the same view every time, so in a frozen phase every augmented view of a
photo passes the backbone once and epochs run on what it answered. Everything random in an epoch is seeded by the
epoch's number: a run that is interrupted and resumed writes the history it would have written. ``accelerate`` spreads
the work over GPUs and machines.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from timm.utils import ModelEmaV3
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from mushroom.checkpoint import HISTORY_FILE, WEIGHTS_FILE, read_safetensors, save_checkpoint
from mushroom.errors import TrainingError
from mushroom.model import GenusNet, ModelConfig, freeze_backbone
from mushroom.training.data import (
    AugmentedViews,
    TrainingPhotos,
    batches_ahead,
    class_weights,
    draw_epoch,
    epoch_length,
    logit_adjustment,
)
from mushroom.training.features import Features, answers, cached_features, normalised
from mushroom.training.history import history_row, write_history
from mushroom.training.optimisation import (
    cosine_factor,
    genus_loss,
    make_optimizer,
    quickest_precision,
    repeat_exactly,
)
from mushroom.training.recipes import Phase, Recipe
from mushroom.training.state import (
    STATE_FILE,
    STATE_FOLDER,
    claim_folder,
    load_facts,
    load_state,
    run_identity,
    save_state,
)

MAX_GRADIENT_NORM = 5.0


@dataclass(frozen=True)
class TrainingOptions:
    """How a run goes that does not change what comes out, but for ``seed``.

    ``workers``: threads that read photos. ``mixed_precision``: as accelerate's launcher has it; None is what
    ``quickest_precision`` says. ``resume``: go on after the last finished epoch. ``after_epoch`` is given the validated
    network and the epoch.
    """

    out: Path
    seed: int = 0
    workers: int = 1
    mixed_precision: str | None = None
    resume: bool = False
    after_epoch: Callable[[GenusNet, int], None] | None = None


@dataclass(frozen=True)
class Stage:
    """Phases that share one optimizer and one cosine, and the epoch before their first."""

    phases: tuple[Phase, ...]
    begins: int

    @property
    def ends(self) -> int:
        """The last epoch."""
        return self.begins + sum(phase.epochs for phase in self.phases)

    def numbered(self) -> Iterator[tuple[int, Phase]]:
        """Epoch numbers, counted from 1 over the whole recipe, with their phases."""
        epoch = self.begins
        for phase in self.phases:
            for _ in range(phase.epochs):
                epoch += 1
                yield epoch, phase


@dataclass
class _Learning:
    """What a stage learns with: the prepared module (all of the network, or its head), and what moves it."""

    accelerator: Accelerator
    module: nn.Module
    optimizer: Any
    schedule: LambdaLR
    average: ModelEmaV3 | None


class Trainer:
    """One training run, into the checkpoint folder ``options.out``."""

    def __init__(
        self,
        model: GenusNet,
        config: ModelConfig,
        recipe: Recipe,
        training: TrainingPhotos,
        validation: TrainingPhotos,
        options: TrainingOptions,
    ) -> None:
        self.model = model
        self.config = config
        self.recipe = recipe
        self.training = training
        self.validation = validation
        self.options = options
        self.views = AugmentedViews(training, recipe, options.seed)
        self.adjustment = logit_adjustment(training, recipe, logit_count(model))
        self.history: list[dict[str, Any]] = []
        self.best: tuple[float, float] = (-math.inf, -math.inf)
        self.best_epoch = 0

    def run(self) -> list[dict[str, Any]]:
        """Train; returns the rows of ``history.csv``.

        After every epoch ``history.csv``, the training state and, where the validation score is the best so far, the
        checkpoint are written whole. Raises TrainingError when memory runs out or the loss is no longer a number.
        """
        done = self._begin()
        if torch.cuda.is_available():
            repeat_exactly()
        try:
            for stage in stages(self.recipe):
                self._run_stage(stage, done)
        except torch.cuda.OutOfMemoryError as error:
            raise TrainingError(_out_of_memory(self.recipe)) from error
        except RuntimeError as error:
            if "not enough memory" in str(error) or "out of memory" in str(error):
                raise TrainingError(_out_of_memory(self.recipe)) from error
            raise
        return self.history

    @property
    def state_folder(self) -> Path:
        """Where resuming finds what it needs."""
        return self.options.out / STATE_FOLDER

    def _begin(self) -> int:
        """Make the folder; the last finished epoch where the run is resumed, otherwise 0."""
        out = claim_folder(self.options.out)
        facts = load_facts(self.state_folder, self._identity()) if self.options.resume else None
        if facts is None:
            if not self.options.resume and (self.state_folder / STATE_FILE).exists():
                raise TrainingError(
                    f"{out} already holds a training run: add --resume to go on with it, or choose another."
                )
            return 0
        self.history = facts["history"]
        self.best, self.best_epoch = tuple(facts["best"]), facts["best_epoch"]
        return int(facts["epoch"])

    def _identity(self) -> dict[str, Any]:
        return run_identity(self.config, self.recipe, self.training, self.options.seed)

    def _run_stage(self, stage: Stage, done: int) -> None:
        """The epochs of one stage after epoch ``done`` of the run."""
        if done >= stage.ends or self._stopped_early(stage):
            return
        accelerator = Accelerator(mixed_precision=self.options.mixed_precision or quickest_precision())
        # An order of the numbers in memory that convolutions are faster with.
        self.model.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        frozen = stage.phases[0].frozen
        # The state of a frozen phase holds the head alone: its backbone is that of the best network before.
        if stage.begins and self.best_epoch and (done <= stage.begins or frozen):
            self._load_best()
        features = None
        if frozen:
            features = cached_features(
                accelerator,
                self.model.backbone,
                self.views,
                self.recipe.views,
                self.validation,
                self.config,
                self.state_folder,
                self.options.workers,
            )
        learning = self._prepare(accelerator, stage, epoch_length(self.training, self.recipe))
        if done > stage.begins:
            load_state(self.state_folder, accelerator, done)
        for epoch, phase in stage.numbered():
            if epoch <= done:
                continue
            began = time.perf_counter()
            set_seed(self._epoch_seed(epoch))
            batches = self._batches(accelerator, epoch, features)
            rate, loss, accuracy = self._train_epoch(learning, phase, epoch, batches)
            validated = self.model if learning.average is None else cast(GenusNet, learning.average.module)
            logits = self._validation_logits(accelerator, validated, features)
            self._record(accelerator, epoch, phase, validated, logits, (rate, loss, accuracy, began))
            save_state(self.state_folder, accelerator, self._facts(epoch))
            if self.options.after_epoch and accelerator.is_main_process:
                self.options.after_epoch(validated, epoch)
            if self._stopped_early(stage):
                break
        accelerator.free_memory()

    def _prepare(self, accelerator: Accelerator, stage: Stage, photos: int) -> _Learning:
        phase = stage.phases[0]
        self.model.requires_grad_(True)
        if phase.frozen:
            freeze_backbone(self.model)
        optimizer = make_optimizer(self.model, phase, self.recipe)
        own_photos = math.ceil(photos / accelerator.num_processes)
        steps = max(1, own_photos // self.recipe.batch) * (stage.ends - stage.begins)
        schedule = LambdaLR(optimizer, lambda step: cosine_factor(step, steps))
        average = ModelEmaV3(self.model, decay=phase.ema, use_warmup=True) if phase.ema else None
        module, optimizer = accelerator.prepare(self.model.head if phase.frozen else self.model, optimizer)
        accelerator.register_for_checkpointing(schedule)
        if average is not None:
            accelerator.register_for_checkpointing(average)
        return _Learning(accelerator, module, optimizer, schedule, average)

    def _batches(
        self, accelerator: Accelerator, epoch: int, features: Features | None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches of an epoch with their photos' indices: features, or views of 8 bits."""
        indices = self._own_draw(accelerator, epoch)
        if features is not None:
            view = features.views[(epoch - 1) % len(features.views)]
            return ((view[part], part) for part in indices.split(self.recipe.batch))

        def read(index: int) -> torch.Tensor:
            return self.views.view(index, epoch)

        return batches_ahead(read, indices.tolist(), self.recipe.batch, self.options.workers)

    def _own_draw(self, accelerator: Accelerator, epoch: int) -> torch.Tensor:
        """The photos of an epoch that this process learns from, in whole batches where there is one."""
        drawn = draw_epoch(self.training, self.recipe, self._epoch_seed(epoch))
        own = drawn[accelerator.process_index :: accelerator.num_processes]
        # A last batch of one photo has no variance for batch norm to divide by.
        return own[: len(own) // self.recipe.batch * self.recipe.batch] if len(own) > self.recipe.batch else own

    def _epoch_seed(self, epoch: int) -> int:
        return self.options.seed * 100_003 + epoch

    def _train_epoch(
        self,
        learning: _Learning,
        phase: Phase,
        epoch: int,
        batches: Iterator[tuple[torch.Tensor, torch.Tensor]],
    ) -> tuple[float, float, float]:
        """One epoch; returns the last learning rate, the mean loss and the accuracy on photos with a label."""
        accelerator = learning.accelerator
        learning.module.train()
        labels_of = torch.from_numpy(self.training.labels)
        count = math.ceil(epoch_length(self.training, self.recipe) / self.recipe.batch / accelerator.num_processes)
        summed, right, named, seen = 0.0, 0, 0, 0
        bar = tqdm(
            batches,
            desc=f"epoch {epoch} {phase.name}",
            unit="batch",
            total=count,
            disable=not accelerator.is_main_process,
            leave=False,
        )
        for images, indices in bar:
            labels = labels_of[indices].to(accelerator.device)
            logits, loss = self._train_step(learning, phase, epoch, images.to(accelerator.device), labels)
            summed += loss * len(labels)
            right += int((logits.argmax(1) == labels).sum())
            named += int((labels >= 0).sum())
            seen += len(labels)
            bar.set_postfix(loss=f"{summed / seen:.3f}", accuracy=f"{right / max(named, 1):.3f}", refresh=False)
        rate = max(group["lr"] for group in learning.optimizer.param_groups)
        counted = torch.tensor([summed, right, named, seen], device=accelerator.device)
        total_loss, all_right, all_named, all_seen = accelerator.reduce(counted, "sum").tolist()
        return rate, total_loss / max(all_seen, 1), all_right / max(all_named, 1)

    def _train_step(
        self, learning: _Learning, phase: Phase, epoch: int, given: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, float]:
        """One step on features or on views of 8 bits; returns the logits and the loss."""
        accelerator = learning.accelerator
        with accelerator.autocast():
            logits = learning.module(given if phase.frozen else normalised(given, self.config))
        logits = logits.float()
        weights = None
        if phase.class_weighted:
            weights = class_weights(self.training.labels, logits.shape[1]).to(logits.device)
        adjusted = logits + self.adjustment.to(logits.device)
        loss = genus_loss(adjusted, labels, self.training.genera, phase.label_smoothing, weights)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"The loss is not a number any more in epoch {epoch}: try a smaller learning rate. "
                f"The checkpoint of epoch {self.best_epoch} is kept in {self.options.out}."
            )
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(learning.module.parameters(), MAX_GRADIENT_NORM)
        learning.optimizer.step()
        learning.optimizer.zero_grad()
        learning.schedule.step()
        if learning.average is not None:
            learning.average.update(self.model, step=learning.schedule.last_epoch)
        return logits.detach(), float(loss.detach())

    def _validation_logits(
        self, accelerator: Accelerator, network: GenusNet, features: Features | None
    ) -> torch.Tensor:
        network.eval()
        if features is None:
            return answers(accelerator, network, self.validation, self.config, self.options.workers)
        with torch.inference_mode():
            return network.head(features.validation.to(accelerator.device)).float().cpu()

    def _record(
        self,
        accelerator: Accelerator,
        epoch: int,
        phase: Phase,
        validated: GenusNet,
        logits: torch.Tensor,
        measured: tuple[float, float, float, float],
    ) -> None:
        rate, loss, accuracy, began = measured
        seconds = time.perf_counter() - began
        row = history_row(epoch, phase.name, (loss, accuracy), logits, self.validation, rate, seconds)
        score = (row["validation_macro_f1"], -row["validation_loss"])
        self.history.append(row)
        if score > self.best:
            self.best, self.best_epoch = score, epoch
            if accelerator.is_main_process:
                save_checkpoint(self.options.out, validated, self.config, half=self.recipe.half)
        if accelerator.is_main_process:
            write_history(self.options.out / HISTORY_FILE, self.history)
            tqdm.write(
                f"epoch {epoch:>3} {phase.name:<14} train loss {row['train_loss']:.4f} accuracy "
                f"{row['train_accuracy']:.4f} | validation loss {row['validation_loss']:.4f} accuracy "
                f"{row['validation_accuracy']:.4f} macro-F1 {row['validation_macro_f1']:.4f} | {row['seconds']:.1f} s"
            )

    def _facts(self, epoch: int) -> dict[str, Any]:
        return {
            "epoch": epoch,
            "best": list(self.best),
            "best_epoch": self.best_epoch,
            "history": self.history,
            "identity": self._identity(),
        }

    def _stopped_early(self, stage: Stage) -> bool:
        if not self.history or not stage.phases[-1].patience:
            return False
        last = self.history[-1]["epoch"]
        return last > stage.begins and last - max(self.best_epoch, stage.begins) >= stage.phases[-1].patience

    def _load_best(self) -> None:
        """Each stage starts from the best network so far, not from the last."""
        state = read_safetensors(self.options.out / WEIGHTS_FILE)
        self.model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})


def stages(recipe: Recipe) -> list[Stage]:
    """The phases of a recipe, those that continue each other together."""
    found: list[Stage] = []
    begins = 0
    for phase in recipe.phases:
        if phase.continues:
            found[-1] = replace(found[-1], phases=(*found[-1].phases, phase))
        else:
            found.append(Stage((phase,), begins))
        begins += phase.epochs
    return found


def logit_count(model: GenusNet) -> int:
    """How many logits a network gives."""
    return cast(nn.Linear, model.head[-1]).out_features


def _out_of_memory(recipe: Recipe) -> str:
    return (
        f"Memory ran out at {recipe.batch} photos a batch: try --batch {max(2, recipe.batch // 2)}. "
        "The last good checkpoint is kept."
    )
