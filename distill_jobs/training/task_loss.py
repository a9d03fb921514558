"""The student's own loss, which unlabelled images do not take part in."""

from typing import Any

import torch

from distill_jobs.training import ranks

_LABELS = ("batch_idx", "cls", "bboxes")


def task_loss(
    student: Any, batch: dict[str, torch.Tensor], predictions: Any
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Compute the loss against the ground truth, over the labelled images alone.

    An image without labels is not an image without objects: only its teachers explain it.

    Args:
        student: ultralytics' detection model.
        batch: Of the data loader; `labelled`, bool [N], says which images have ground truth; all
            have, where it is missing. The others' labels are ignored.
        predictions: Of the student for the batch.

    Returns:
        float [3], box, class and DFL (or L1) loss, each a mean over the objects times the number
        of labelled images, of several processes the mean of their numbers; and the means by name,
        detached. Where no image is labelled all are 0, and gradients of 0 reach the student.
    """
    labelled = batch.get("labelled")
    if labelled is None:
        return _criterion(student, batch, predictions)
    labelled = labelled.to(batch["img"].device)
    loss, items = _of_labelled(student, batch, predictions, labelled)
    count = labelled.sum().float()
    # The criterion multiplied by this process's own number, and divided by what all hold.
    return loss * ranks.mean(count) / count.clamp(min=1), items


def _of_labelled(
    student: Any, batch: dict[str, torch.Tensor], predictions: Any, labelled: torch.Tensor
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    if labelled.all():
        return _criterion(student, batch, predictions)
    if not labelled.any():
        first = torch.zeros_like(labelled)
        first[0] = True
        loss, items = _criterion(student, _none_of(batch), _pick(predictions, first))
        return loss * 0, {name: value * 0 for name, value in items.items()}
    return _criterion(student, _some_of(batch, labelled), _pick(predictions, labelled))


def _criterion(
    student: Any, batch: dict[str, torch.Tensor], predictions: Any
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    loss, items = student.loss(batch, predictions)
    return loss, items


def _some_of(batch: dict[str, torch.Tensor], chosen: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the labels of the chosen images, numbered anew."""
    image = batch["batch_idx"].long().to(chosen.device)
    kept = chosen[image]
    renumbered = chosen.long().cumsum(0) - 1
    labels = {name: batch[name].to(chosen.device)[kept] for name in _LABELS}
    labels["batch_idx"] = renumbered[image[kept]].to(batch["batch_idx"].dtype)
    return {"img": batch["img"][chosen], **labels}


def _none_of(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"img": batch["img"][:1], **{name: batch[name][:0] for name in _LABELS}}


def _pick(predictions: Any, chosen: torch.Tensor) -> Any:
    """Return the chosen images' part of all tensors in a nest of dicts, lists and tuples."""
    if isinstance(predictions, torch.Tensor):
        return predictions[chosen]
    if isinstance(predictions, dict):
        return {name: _pick(value, chosen) for name, value in predictions.items()}
    return type(predictions)(_pick(value, chosen) for value in predictions)
