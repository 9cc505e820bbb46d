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
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
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
from mushroom.training.features import Batches, Features, answers, cached_features, normalised, progress
from mushroom.training.history import history_row, write_history
from mushroom.training.optimisation import (
    cosine_factor,
    genus_loss,
    make_optimizer,
    new_accelerator,
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
        phases = (phase for phase in self.phases for _ in range(phase.epochs))
        return enumerate(phases, start=self.begins + 1)


@dataclass
class _Learning:
    """What a stage learns with: the prepared module (all of the network, or its head), and what moves it."""

    module: nn.Module
    optimizer: Any
    schedule: LambdaLR
    average: ModelEmaV3 | None


@dataclass
class Trainer:
    """One training run, into the checkpoint folder ``options.out``."""

    model: GenusNet
    config: ModelConfig
    recipe: Recipe
    training: TrainingPhotos
    validation: TrainingPhotos
    options: TrainingOptions

    def __post_init__(self) -> None:
        self.views = AugmentedViews(self.training, self.recipe, self.options.seed)
        self.adjustment = logit_adjustment(self.training, self.recipe, self.config.logit_count)
        self.identity = run_identity(self.config, self.recipe, self.training, self.options.seed)
        self.state_folder = self.options.out / STATE_FOLDER
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
        except RuntimeError as error:
            # As GPUs say it, and as a processor does.
            if "out of memory" not in str(error) and "not enough memory" not in str(error):
                raise
            batch = self.recipe.batch
            raise TrainingError(
                f"Memory ran out at {batch} photos a batch: try --set batch={max(2, batch // 2)}. "
                "The last good checkpoint is kept."
            ) from error
        return self.history

    def _begin(self) -> int:
        """Make the folder; the last finished epoch where the run is resumed, otherwise 0."""
        out = claim_folder(self.options.out)
        facts = load_facts(self.state_folder, self.identity) if self.options.resume else None
        if facts is None:
            if not self.options.resume and (self.state_folder / STATE_FILE).exists():
                raise TrainingError(
                    f"{out} already holds a training run: add --resume to go on with it, or choose another."
                )
            return 0
        self.history = facts["history"]
        self.best, self.best_epoch = tuple(facts["best"]), facts["best_epoch"]
        return int(facts["epoch"])

    def _run_stage(self, stage: Stage, done: int) -> None:
        """The epochs of one stage after epoch ``done`` of the run."""
        if done >= stage.ends or self._stopped_early(stage):
            return
        accelerator = self.accelerator = new_accelerator(self.options.mixed_precision or quickest_precision())
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
                self.validation,
                self.config,
                self.state_folder,
                self.options.workers,
            )
        learning = self._prepare(stage)
        if done > stage.begins:
            load_state(self.state_folder, accelerator, done)
        for epoch, phase in stage.numbered():
            if epoch <= done:
                continue
            began = time.perf_counter()
            set_seed(self._epoch_seed(epoch))
            rate, *trained = self._train_epoch(learning, phase, epoch, self._batches(epoch, features))
            validated = self.model if learning.average is None else cast(GenusNet, learning.average.module)
            logits = self._validation_logits(validated, features)
            seconds = time.perf_counter() - began
            self._record(history_row(epoch, phase.name, trained, logits, self.validation, rate, seconds), validated)
            if self.options.after_epoch and accelerator.is_main_process:
                self.options.after_epoch(validated, epoch)
            if self._stopped_early(stage):
                break
        accelerator.free_memory()

    def _prepare(self, stage: Stage) -> _Learning:
        accelerator, phase = self.accelerator, stage.phases[0]
        self.model.requires_grad_(True)
        if phase.frozen:
            freeze_backbone(self.model)
        optimizer = make_optimizer(self.model, phase, self.recipe)
        own_photos = math.ceil(epoch_length(self.training, self.recipe) / accelerator.num_processes)
        steps = max(1, own_photos // self.recipe.batch) * (stage.ends - stage.begins)
        schedule = LambdaLR(optimizer, lambda step: cosine_factor(step, steps))
        average = ModelEmaV3(self.model, decay=phase.ema, use_warmup=True) if phase.ema else None
        module, optimizer = accelerator.prepare(self.model.head if phase.frozen else self.model, optimizer)
        accelerator.register_for_checkpointing(schedule)
        if average is not None:
            accelerator.register_for_checkpointing(average)
        return _Learning(module, optimizer, schedule, average)

    def _batches(self, epoch: int, features: Features | None) -> Batches:
        """Batches of an epoch with their photos' indices: features, or views of 8 bits."""
        indices = self._own_draw(epoch)
        if features is not None:
            view = features.views[(epoch - 1) % len(features.views)]
            return ((view[part], part) for part in indices.split(self.recipe.batch))
        read = partial(self.views.view, round_number=epoch)
        return batches_ahead(read, indices.tolist(), self.recipe.batch, self.options.workers)

    def _own_draw(self, epoch: int) -> torch.Tensor:
        """The photos of an epoch that this process learns from, in whole batches where there is one."""
        drawn = draw_epoch(self.training, self.recipe, self._epoch_seed(epoch))
        own = drawn[self.accelerator.process_index :: self.accelerator.num_processes]
        # A last batch of one photo has no variance for batch norm to divide by.
        return own[: len(own) // self.recipe.batch * self.recipe.batch] if len(own) > self.recipe.batch else own

    def _epoch_seed(self, epoch: int) -> int:
        return self.options.seed * 100_003 + epoch

    def _train_epoch(
        self, learning: _Learning, phase: Phase, epoch: int, batches: Batches
    ) -> tuple[float, float, float]:
        """One epoch; returns the last learning rate, the mean loss and the accuracy on photos with a label."""
        accelerator = self.accelerator
        learning.module.train()
        labels_of = torch.from_numpy(self.training.labels)
        count = math.ceil(epoch_length(self.training, self.recipe) / self.recipe.batch / accelerator.num_processes)
        summed, right, named, seen = 0.0, 0, 0, 0
        bar = progress(accelerator, batches, f"epoch {epoch} {phase.name}", count)
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
        with self.accelerator.autocast():
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
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(learning.module.parameters(), MAX_GRADIENT_NORM)
        learning.optimizer.step()
        learning.optimizer.zero_grad()
        learning.schedule.step()
        if learning.average is not None:
            learning.average.update(self.model, step=learning.schedule.last_epoch)
        return logits.detach(), float(loss.detach())

    def _validation_logits(self, network: GenusNet, features: Features | None) -> torch.Tensor:
        network.eval()
        if features is None:
            return answers(self.accelerator, network, self.validation, self.config, self.options.workers)
        with torch.inference_mode():
            return network.head(features.validation.to(self.accelerator.device)).float().cpu()

    def _record(self, row: dict[str, Any], validated: GenusNet) -> None:
        """Keep an epoch: the network where it is the best so far, the history, and what resuming needs."""
        score = (row["validation_macro_f1"], -row["validation_loss"])
        self.history.append(row)
        if score > self.best:
            self.best, self.best_epoch = score, row["epoch"]
            if self.accelerator.is_main_process:
                save_checkpoint(self.options.out, validated, self.config, half=self.recipe.half)
        if self.accelerator.is_main_process:
            write_history(self.options.out / HISTORY_FILE, self.history)
            tqdm.write(
                "epoch {epoch:>3} {phase:<14} train loss {train_loss:.4f} accuracy {train_accuracy:.4f} | validation "
                "loss {validation_loss:.4f} accuracy {validation_accuracy:.4f} macro-F1 {validation_macro_f1:.4f} | "
                "{seconds:.1f} s".format_map(row)
            )
        facts = {"epoch": row["epoch"], "best": self.best, "best_epoch": self.best_epoch, "history": self.history}
        save_state(self.state_folder, self.accelerator, facts | {"identity": self.identity})

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
