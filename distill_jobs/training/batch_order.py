"""Which images come in which batch, from any batch on.

The order is ultralytics': its loader draws it from a generator whose seed is a constant of the
training. So going on in the middle needs no stored order. A fresh loader draws the past epochs'
orders again, which takes milliseconds, and loads no image for it.
"""

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from distill_jobs.training.parallel_batches import parallel_batches

if TYPE_CHECKING:
    from distill_jobs.training.trainer import LessonTrainer


def remaining_batches(trainer: "LessonTrainer") -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and content of the present epoch's batches that are still to come."""
    _begin_epoch(trainer, trainer.position.epoch)
    first = trainer.position.batch
    if trainer.lesson.workers:
        yield from enumerate(parallel_batches(trainer, first), start=first)
    else:
        numbers = range(first, len(trainer.train_loader))
        yield from zip(numbers, trainer.train_loader, strict=False)


def fast_forward(trainer: "LessonTrainer", buffered: list[int]) -> None:
    """Bring a fresh loader to where the trainer's position says.

    Args:
        trainer: Just set up.
        buffered: Images that mosaics are made of where they are not all in memory.
    """
    position, loader = trainer.position, trainer.train_loader
    if trainer.lesson.workers:
        return
    for epoch in range(position.epoch + 1):
        count = len(loader) if epoch < position.epoch else position.batch
        if count:
            _begin_epoch(trainer, epoch)
            _skip(loader, count)
    dataset = loader.dataset
    for index in buffered:
        if index not in dataset.buffer:
            dataset.load_image(index)


def _begin_epoch(trainer: "LessonTrainer", epoch: int) -> None:
    loader = trainer.train_loader
    if hasattr(loader.sampler, "set_epoch"):
        loader.sampler.set_epoch(epoch)
    last = trainer.args.close_mosaic
    if last and epoch >= trainer.epochs - last and not trainer.mosaic_closed:
        trainer.mosaic_closed = True
        trainer._close_dataloader_mosaic()
        loader.reset()


def _skip(loader: Any, count: int) -> None:
    if loader.iterator is None:
        loader.iterator = loader._get_iterator()
    for _ in itertools.repeat(None, count):
        loader.iterator._next_index()
