"""A training's epochs, batch by batch, from wherever it stands.

The steps and their order are those of ultralytics' own loop (`BaseTrainer._do_train`), so a run
gives the same numbers. That one can only begin at the start of an epoch, goes on after losses that
are not finite, halves the batch when memory runs out, and knows several processes on GPUs alone.
"""

import contextlib
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ultralytics.utils import LOGGER
from ultralytics.utils.torch_utils import unwrap_model

from distill_jobs.training import ranks
from distill_jobs.training.batch_order import remaining_batches
from distill_jobs.training.nonfinite import check_finite, check_weights

if TYPE_CHECKING:
    from distill_jobs.training.trainer import LessonTrainer


def run_epochs(trainer: "LessonTrainer") -> None:
    """Train until the last epoch, or until patience ends.

    Args:
        trainer: Set up, and put where a killed training was if there was one.

    Raises:
        LossNotFinite: A loss or a weight became NaN or infinite; the batch is kept in a file.
    """
    trainer.train_time_start = time.time() - trainer.position.seconds
    trainer.run_callbacks("on_train_start")
    while not trainer.stop:
        _begin_epoch(trainer)
        for number, batch in remaining_batches(trainer):
            trainer.run_callbacks("on_train_batch_start")
            _train_on(trainer, batch, number)
            trainer.run_callbacks("on_train_batch_end")
            trainer.position.batch = number + 1
            trainer.keep_within_epoch()
        _end_epoch(trainer)
    LOGGER.info(f"{trainer.epoch + 1} of {trainer.epochs} epochs done")


def _begin_epoch(trainer: "LessonTrainer") -> None:
    trainer.epoch = trainer.position.epoch
    trainer.run_callbacks("on_train_epoch_start")
    if trainer.position.batch == 0:
        trainer.tloss = None
        with warnings.catch_warnings():
            # It misses an optimizer step in an epoch that updates no weights.
            warnings.simplefilter("ignore")
            trainer.scheduler.step()
    trainer._model_train()


def _train_on(trainer: "LessonTrainer", batch: dict[str, Any], number: int) -> None:
    """Take one batch forward and back, and update the weights when it is time."""
    step = number + len(trainer.train_loader) * trainer.epoch
    _warm_up(trainer, step)
    updates = step - trainer.position.last_step >= trainer.accumulate
    with _gradients_kept_local(trainer, kept=not updates):
        forward_and_back(trainer, batch, number)
    if updates:
        trainer.optimizer_step()
        trainer.position.last_step = step


def forward_and_back(trainer: "LessonTrainer", batch: dict[str, Any], number: int) -> None:
    """Add one batch's gradients to what the parameters hold.

    Raises:
        LossNotFinite: A loss is NaN or infinite.
    """
    with trainer.precision.autocast(trainer.device):
        batch = trainer.preprocess_batch(batch)
        loss, trainer.loss_items = trainer.model(batch)
        trainer.loss = loss.sum()
        if ranks.count() > 1:  # DDP averages the gradients, and losses are sums over images
            trainer.loss *= ranks.count()
    check_finite(trainer, batch, number)
    _note_losses(trainer, number)
    trainer.scaler.scale(trainer.loss).backward()


def _note_losses(trainer: "LessonTrainer", number: int) -> None:
    """Keep the running mean of each loss over the epoch."""
    items: dict[str, torch.Tensor] = trainer.loss_items
    if not trainer.loss_names:
        trainer.loss_names = tuple(items)
        if trainer.metrics is not None:
            trainer.metrics.update(dict.fromkeys(trainer.label_loss_items(prefix="val"), 0.0))
    means = trainer.tloss
    if means is None:
        trainer.tloss = items
    else:
        trainer.tloss = {k: (means[k] * number + v) / (number + 1) for k, v in items.items()}


def _gradients_kept_local(
    trainer: "LessonTrainer", *, kept: bool
) -> contextlib.AbstractContextManager[None]:
    """Spare the exchange between processes for a batch that updates no weights."""
    if kept and ranks.count() > 1:
        local: contextlib.AbstractContextManager[None] = trainer.model.no_sync()
        return local
    return contextlib.nullcontext()


def _warm_up(trainer: "LessonTrainer", step: int) -> None:
    """Let learning rates, momentum and accumulation rise over the first epochs."""
    last = trainer._get_warmup_iterations(len(trainer.train_loader))
    if not last or step > last:
        return
    args, span = trainer.args, [0, last]
    trainer.accumulate = max(1, int(np.interp(step, span, [1, trainer.full_accumulate]).round()))
    for group in trainer.optimizer.param_groups:
        first = args.warmup_bias_lr if group.get("param_group") == "bias" else 0.0
        target = group["initial_lr"] * trainer.lf(trainer.epoch)
        group["lr"] = float(np.interp(step, span, [first, target]))
        if "momentum" in group:
            group["momentum"] = float(np.interp(step, span, [args.warmup_momentum, args.momentum]))


def _end_epoch(trainer: "LessonTrainer") -> None:
    """Validate, write checkpoints, tell who listens, and keep what a resumed training needs."""
    check_weights(trainer)
    criterion: Any = unwrap_model(trainer.model).criterion
    if hasattr(criterion, "update"):  # an end-to-end head's, whose branches' weights move
        criterion.update()
    trainer.lr = {f"lr/pg{i}": g["lr"] for i, g in enumerate(trainer.optimizer.param_groups)}
    trainer.run_callbacks("on_train_epoch_end")
    trainer._clear_memory(0.5)
    if ranks.leads():
        kept = ["yaml", "nc", "args", "names", "stride", "class_weights"]
        trainer.ema.update_attr(trainer.model, include=kept)
    trainer.metrics, trainer.fitness = trainer.validate()
    if ranks.leads():
        _judge(trainer)
    trainer.stop = ranks.from_first(trainer.stop)
    trainer.run_callbacks("on_fit_epoch_end")
    trainer.tell_listeners()
    trainer._clear_memory(0.5)
    trainer.position.epoch, trainer.position.batch = trainer.epoch + 1, 0
    trainer.keep()


def _judge(trainer: "LessonTrainer") -> None:
    """Write the epoch's row and checkpoints, and decide whether it was the last."""
    losses = trainer.label_loss_items(trainer.tloss)
    trainer.save_metrics(metrics={**losses, **trainer.metrics, **trainer.lr})
    patience_ends = trainer.stopper(trainer.epoch + 1, trainer.fitness)
    trainer.stop |= patience_ends or trainer.epoch + 1 >= trainer.epochs
    trainer.save_model()
    trainer.run_callbacks("on_model_save")
