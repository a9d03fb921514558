"""A loss or a weight that is no number any more: stop at once, and keep what led there."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from distill_jobs.errors import LossNotFinite
from distill_jobs.files import write_atomically
from distill_jobs.training import ranks
from distill_jobs.training.resume_random import read_random_states

if TYPE_CHECKING:
    from distill_jobs.training.trainer import LessonTrainer

BATCH_FILE = "nonfinite-batch.pt"
_SHOWN_IMAGES = 3


def check_finite(trainer: "LessonTrainer", batch: dict[str, Any], number: int) -> None:
    """Check the loss of a batch before it reaches the gradients.

    Args:
        trainer: Its `loss` and `loss_items` are the batch's.
        batch: As the model saw it.
        number: Of the batch in its epoch, 0-based.

    Raises:
        LossNotFinite: It is NaN or infinite, in this process or in another; `nonfinite-batch.pt`
            holds images, labels and weights, and loads with `torch.load(weights_only=True)`.
    """
    finite = bool(torch.isfinite(trainer.loss))
    if ranks.everywhere(finite):
        return
    file = trainer.save_dir / _file_name()
    if not finite:
        write_batch(file, trainer, batch, number)
    raise LossNotFinite(
        _story(trainer, batch, number, file, here=not finite),
        epoch=trainer.epoch,
        batch=number,
        file=file,
    )


def check_weights(trainer: "LessonTrainer") -> None:
    """Check the weights at an epoch's end, before they are validated and kept to resume from.

    A finite loss may have an infinite gradient; after an epoch's last batch no loss would tell.

    Args:
        trainer: At the end of an epoch.

    Raises:
        LossNotFinite: A weight is NaN or infinite; `nonfinite-batch.pt` holds all of them.
    """
    broken = _broken(trainer)
    if ranks.everywhere(not broken):
        return
    number, file = len(trainer.train_loader) - 1, trainer.save_dir / _file_name()
    write_batch(file, trainer, {}, number)
    raise LossNotFinite(
        f"{trainer.lesson.title}: the weights became NaN or infinite by the end of epoch "
        f"{trainer.epoch + 1} ({broken}), of gradients whose losses were finite. They are in "
        f"{file}. {_remedy(trainer)}",
        epoch=trainer.epoch,
        batch=number,
        file=file,
    )


def write_batch(file: Path, trainer: "LessonTrainer", batch: dict[str, Any], number: int) -> None:
    """Write a batch and what the model was, as plain tensors and containers.

    Args:
        file: Replaced whole.
        trainer: Weights (float32), random states, learning rates.
        batch: `img` float32 [N, 3, H, W], RGB, 0 to 1, augmented; `bboxes` float [K, 4], centre and
            size as fractions; `cls` [K, 1]; `batch_idx` [K]; `im_file` names.
        number: Of the batch in its epoch, 0-based.
    """
    tensors = {k: v.detach().cpu() for k, v in batch.items() if isinstance(v, torch.Tensor)}
    content = {
        "epoch": trainer.epoch,
        "batch": number,
        "losses": {name: float(value) for name, value in trainer.loss_items.items()},
        "inputs": tensors,
        "files": [str(name) for name in batch.get("im_file", ())],
        "learning_rates": [float(group["lr"]) for group in trainer.optimizer.param_groups],
        "model": trainer.trained_tensors(),
        "random": read_random_states(),
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(file, buffer.getvalue())


def _file_name() -> str:
    if ranks.count() == 1:
        return BATCH_FILE
    return BATCH_FILE.replace(".pt", f"-rank{ranks.rank()}.pt")


def _broken(trainer: "LessonTrainer") -> str:
    """Return the name of the first tensor of the student that holds no numbers, or ""."""
    tensors = trainer.trained_tensors().items()
    return next((name for name, one in tensors if not bool(torch.isfinite(one).all())), "")


def _remedy(trainer: "LessonTrainer") -> str:
    lower_precision = " or set `amp: off`" if trainer.precision.dtype is not None else ""
    return (
        f"Lower `lr0`, lengthen `warmup_epochs`{lower_precision}, and begin a new run: this one "
        "would come to the same batch"
    )


def _story(
    trainer: "LessonTrainer", batch: dict[str, Any], number: int, file: Path, *, here: bool
) -> str:
    where = f"epoch {trainer.epoch + 1}, batch {number + 1}"
    remedy = _remedy(trainer)
    if not here:
        others = BATCH_FILE.replace(".pt", "-rank*.pt")
        return (
            f"{trainer.lesson.title}: another process met a loss that is not finite in {where}; "
            f"images, labels and weights are in {file.with_name(others)}. {remedy}"
        )
    bad = [n for n, value in trainer.loss_items.items() if not bool(torch.isfinite(value).all())]
    names = [Path(name).name for name in batch.get("im_file", ())]
    more = f" and {len(names) - _SHOWN_IMAGES} more" if len(names) > _SHOWN_IMAGES else ""
    broken = _broken(trainer)
    cause = (
        f"the weights themselves were not finite any more ({broken})"
        if broken
        else "the weights were finite, so look at these images and their labels first"
    )
    return (
        f"{trainer.lesson.title}: {', '.join(bad) or 'the loss'} became NaN or infinite in {where} "
        f"({', '.join(names[:_SHOWN_IMAGES])}{more}); {cause}. Images, labels and weights are in "
        f"{file}. {remedy}"
    )
