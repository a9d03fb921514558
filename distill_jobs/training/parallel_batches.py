"""Batches made by worker processes: the same batches, whichever worker makes them and whenever.

Each picture's augmentation draws from sources seeded by the training's seed, the epoch and the
picture's place in it. So a resumed training sees what one that was never stopped would have seen,
although no worker's random state was kept; and the number of workers changes nothing.
"""

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from ultralytics.data.augment import Mosaic

from distill_jobs.training import ranks

if TYPE_CHECKING:
    from distill_jobs.training.trainer import LessonTrainer

_AHEAD = 4  # batches that each worker prepares
_Place = tuple[int, int]


def parallel_batches(trainer: "LessonTrainer", first: int) -> Iterator[dict[str, Any]]:
    """Yield an epoch's batches from one of them on.

    Args:
        trainer: Its lesson says how many workers.
        first: Number of the first batch, 0-based.
    """
    dataset, epoch = trainer.train_loader.dataset, trainer.position.epoch
    let_mosaics_draw_from_all(dataset.transforms)
    batches = epoch_order(len(dataset), trainer.train_loader.batch_size, trainer.args.seed, epoch)
    if first == len(batches):
        return
    loader: DataLoader[Any] = DataLoader(
        _Seeded(dataset, trainer.args.seed, epoch),
        batch_sampler=batches[first:],
        num_workers=trainer.lesson.workers,
        prefetch_factor=_AHEAD,
        collate_fn=dataset.collate_fn,
        pin_memory=trainer.device.type == "cuda",
        generator=torch.Generator(),  # it draws a seed for each worker, which nobody needs
    )
    yield from loader


def epoch_order(images: int, batch: int, seed: int, epoch: int) -> list[list[_Place]]:
    """Return an epoch's batches in this process.

    Args:
        images: How many the split has.
        batch: Images a batch of this process.
        seed: Of the training.
        epoch: 0-based.

    Returns:
        Place in the epoch and index of each image. All processes have as many; where the images do
        not come out even, the first of the epoch are seen once more.
    """
    source = torch.Generator().manual_seed(_seed_of(seed, epoch))
    order = torch.randperm(images, generator=source).tolist()
    each = -(-images // ranks.count())
    order += order[: each * ranks.count() - images]
    mine = list(enumerate(order))[ranks.rank() :: ranks.count()]
    return [mine[start : start + batch] for start in range(0, each, batch)]


class _Seeded(Dataset[Any]):
    """A data set whose pictures are augmented by their place in an epoch.

    Args:
        dataset: ultralytics' own.
        seed: Of the training.
        epoch: 0-based.
    """

    def __init__(self, dataset: Any, seed: int, epoch: int) -> None:
        self._dataset, self._seed, self._epoch = dataset, seed, epoch

    def __getitem__(self, place_and_index: _Place) -> Any:
        place, index = place_and_index
        seed = _seed_of(self._seed, self._epoch, place)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002  # ultralytics' augmentations draw from this one
        torch.manual_seed(seed)
        return self._dataset[index]


def _seed_of(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def let_mosaics_draw_from_all(transforms: Any) -> None:
    """Keep mosaics from the images that a worker happens to hold, where not all are in memory."""
    for transform in getattr(transforms, "transforms", ()):
        if isinstance(transform, Mosaic):
            transform.buffer_enabled = False
        let_mosaics_draw_from_all(transform)
