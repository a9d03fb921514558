"""A dense teacher that is not asked twice about the same pixels.

The key is the digest of the very input, so an answer can never be the answer to another picture:
flipped, it is found under the flipped picture's own key (a network's answer to a mirrored picture
is not the mirror of its answer). It pays where augmentation gives the same pixels again: letterbox
and horizontal flip alone. Under mosaic, scaling or colour changes no picture ever returns.
"""

from collections.abc import Mapping
from dataclasses import fields
from hashlib import blake2b
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from distill_jobs.training.answers import DenseAnswer
from distill_jobs.training.heads import HeadOutput, HeadShape
from distill_jobs.training.teachers.dense import DetectorTeacher
from distill_jobs.training.teachers.store import AnswerStore

_BRANCHES, _LEVEL = ("head", "one_to_one"), "level."
# Half precision would move a corner at 1,280 px by half a pixel.
_EXACT = frozenset({"boxes_xyxy_px"})


class CachedTeacher:
    """Asks a dense teacher only about what is not in the store.

    Args:
        teacher: Who answers.
        store: Where answers are kept, in half precision but for boxes.
        identity: Digest of all that its answers depend on but the input: weights and class map.
    """

    def __init__(self, teacher: DetectorTeacher, store: AnswerStore, identity: str) -> None:
        self._teacher, self._store, self._identity = teacher, store, identity

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return itself, as the teacher does."""
        return self

    @property
    def weight(self) -> float:
        """Its share of the distillation losses."""
        return self._teacher.weight

    @property
    def shape(self) -> HeadShape:
        """Of the teacher's head."""
        return self._teacher.shape

    def answer(self, batch: dict[str, torch.Tensor]) -> DenseAnswer:
        """Answer a batch, from the store where all of it was seen before.

        Args:
            batch: `img` float [N, 3, H, W], multiples of 1/255.
        """
        images = batch["img"]
        keys = [self._store.key(self._identity, question) for question in _questions(images)]
        kept = [self._store.get(key) for key in keys]
        missing = [place for place, arrays in enumerate(kept) if arrays is None]
        if missing:
            fresh = self._teacher.answer({"img": images[missing]})
            for row, place in enumerate(missing):
                arrays = _arrays(fresh, row)
                self._store.put(keys[place], arrays)
                kept[place] = arrays
        known = self._teacher.known.to(images.device)
        return _joined([arrays for arrays in kept if arrays is not None], known)


def _questions(images: torch.Tensor) -> list[str]:
    """Return a key an image: of its pixels, and of what precision they are answered in."""
    kind = images.device.type
    rounded = torch.is_autocast_enabled(kind)
    precision = str(torch.get_autocast_dtype(kind)) if rounded else ""
    levels = (images * 255).round().to(torch.uint8).cpu().numpy()
    shape = f"{tuple(levels.shape[1:])}{precision}".encode()
    return [blake2b(one.tobytes() + shape, digest_size=32).hexdigest() for one in levels]


def _arrays(answer: DenseAnswer, row: int) -> dict[str, NDArray[Any]]:
    """Write one image's answer as arrays."""
    arrays: dict[str, NDArray[Any]] = {}
    for branch in _BRANCHES:
        head = getattr(answer, branch)
        for field in fields(HeadOutput):
            value = getattr(head, field.name, None)
            if value is not None:
                dtype = torch.float32 if field.name in _EXACT else torch.float16
                arrays[f"{branch}.{field.name}"] = value[row].to(dtype).cpu().numpy()
    for level, value in enumerate(answer.features):
        arrays[f"{_LEVEL}{level}"] = value[row].to(torch.float16).cpu().numpy()
    return arrays


def _joined(rows: list[dict[str, NDArray[Any]]], known: torch.Tensor) -> DenseAnswer:
    """Read a batch's answers back, float32, on the device of `known`."""
    together = {
        name: torch.from_numpy(np.stack([row[name] for row in rows])).to(known.device).float()
        for name in rows[0]
    }
    levels = sum(name.startswith(_LEVEL) for name in together)
    head, one_to_one = (_branch(together, branch) for branch in _BRANCHES)
    return DenseAnswer(
        head=HeadOutput(**head),
        features=tuple(together[f"{_LEVEL}{level}"] for level in range(levels)),
        known=known,
        one_to_one=HeadOutput(**one_to_one) if one_to_one else None,
    )


def _branch(tensors: Mapping[str, torch.Tensor], branch: str) -> dict[str, torch.Tensor]:
    """Pick the fields of one branch; none where the head has no such branch."""
    prefix = f"{branch}."
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
