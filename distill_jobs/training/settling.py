"""Batch norms measured anew, and whether a trained network is the better for it.

A batch norm's running statistics remember some 33 batches. In a short training the weights move
faster than that, and the EMA's weights otherwise than its statistics: the statistics belong to
other weights than they are released with. In a long training they may be as good as new ones, so
the validation split decides.
"""

import io
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import torch_safe_load
from ultralytics.utils.torch_utils import select_device

from distill_jobs.data.dataset import Dataset
from distill_jobs.files import write_atomically
from distill_jobs.training.parallel_batches import let_mosaics_draw_from_all
from distill_jobs.training.resume_random import random_states_kept
from distill_jobs.training.splits import training_split
from distill_jobs.training.validation_score import map50_95_of

_IMAGES = 192


@dataclass(frozen=True)
class Settling:
    """What new statistics did on the validation split.

    Attributes:
        as_trained: mAP50-95 with the statistics that the training left, 0 to 1.
        settled: The same with new ones.
    """

    as_trained: float
    settled: float

    @property
    def kept(self) -> bool:
        """Whether the new ones are in the checkpoint."""
        return self.settled > self.as_trained

    def figures(self) -> dict[str, Any]:
        """Return it as a run notes it."""
        return {**asdict(self), "kept": "settled" if self.kept else "as_trained"}


def settle_if_better(
    checkpoint: Path, data: Dataset, arguments: Mapping[str, Any], *, unlabelled: bool = False
) -> Settling:
    """Measure a checkpoint's batch norms anew, and keep that where validation is the better for it.

    Equal checkpoints and arguments give equal files; random states stay as they are.

    Args:
        checkpoint: Plain, of `write_plain_checkpoint`; replaced whole, or left as it is.
        data: What it was trained on, staged.
        arguments: Ultralytics' own, of its training: augmentation, `imgsz`, `batch`, `seed` and
            `device`.
        unlabelled: Whether it saw the images that nobody labelled.

    Returns:
        Both scores.

    Raises:
        DataSetInvalid: An image or a label of the validation split does not fit.
    """
    # Some pictures of a split need not have all in memory.
    args: Any = get_cfg(overrides={**arguments, "cache": False})
    device, side = select_device(args.device, verbose=False), int(args.imgsz)
    content: dict[str, Any] = torch_safe_load(str(checkpoint), safe_only=True)[0]
    model: Any = content["model"].float()
    before = map50_95_of(model, data, image_size=side, device=device)
    model.to(device)
    settle(model, (one.to(device) for one in seen_in_training(data, args, unlabelled=unlabelled)))
    model.cpu().half()  # as it is kept
    after = map50_95_of(model, data, image_size=side, device=device)
    found = Settling(before, after)
    if found.kept:
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_atomically(checkpoint, buffer.getvalue())
    return found


def settle(model: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Measure the statistics of every batch norm anew.

    Args:
        model: Its running means and variances are replaced.
        batches: float32 [N, 3, H, W] each, 0 to 1, of the training split; a hundred images do.
    """
    norms = [one for one in model.modules() if isinstance(one, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    was_training = model.training
    model.train()
    with torch.no_grad():
        for batch in batches:
            model(batch)
    model.train(was_training)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def seen_in_training(
    data: Dataset, args: Any, *, unlabelled: bool = False
) -> Iterator[torch.Tensor]:
    """Yield pictures as a training shows them, mosaics and all, drawn from its whole split.

    Mosaics did better than pictures without on those networks that were the better for new
    statistics at all: docs/training.md.

    Args:
        data: Staged.
        args: Of the training; its `seed` draws them.
        unlabelled: Whether those that nobody labelled are among them.

    Yields:
        float32 [N, 3, imgsz, imgsz], RGB, 0 to 1; N is at most `batch`.
    """
    with random_states_kept():
        random.seed(args.seed)
        np.random.seed(args.seed)  # noqa: NPY002  # ultralytics' augmentations draw from this one
        torch.manual_seed(args.seed)
        split = training_split(data, args, batch=args.batch, taught=unlabelled)
        let_mosaics_draw_from_all(split.transforms)
        chosen = random.sample(range(len(split)), min(len(split), _IMAGES))
        for start in range(0, len(chosen), args.batch):
            pictures = [split[index]["img"] for index in chosen[start : start + args.batch]]
            yield torch.stack(pictures).float() / 255
