"""Detections kept in a file, so that models can be compared on the same images later."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from distill_jobs import files
from handlers.pipeline import Detections

_TIMINGS = ("decode_ms", "preprocess_ms", "inference_ms", "postprocess_ms")


def write_detections(path: Path, images: Sequence[Path], found: Sequence[Detections]) -> None:
    """Write detections as a compressed `.npz`, whole or not at all.

    Its arrays: `images` [I] (file names), `sha256` [I] (of the files), `sizes` int32 [I, 2] (width,
    height), `counts` int32 [I], and, one image after the other, `boxes_xyxy_px` float32 [N, 4],
    `scores` float32 [N] and `class_ids` int64 [N].

    Args:
        path: Replaced if it exists.
        images: The image files, I of them.
        found: Each image's detections.
    """
    arrays: dict[str, Any] = {
        "images": np.array([image.name for image in images], np.str_),
        "sha256": np.array([_sha256(image) for image in images], np.str_),
        "sizes": np.array([(one.width, one.height) for one in found], np.int32).reshape(-1, 2),
        "counts": np.array([len(one.scores) for one in found], np.int32),
        "boxes_xyxy_px": np.concatenate(
            [one.boxes_xyxy_px for one in found] or [np.zeros((0, 4), np.float32)]
        ),
        "scores": np.concatenate([one.scores for one in found] or [np.zeros(0, np.float32)]),
        "class_ids": np.concatenate([one.class_ids for one in found] or [np.zeros(0, np.int64)]),
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    files.write_atomically(path, buffer.getvalue())


def read_detections(path: Path, images: Sequence[Path]) -> tuple[Detections, ...] | None:
    """Read detections back.

    Args:
        path: What `write_detections` wrote.
        images: The images they must be of, in the same order, byte for byte.

    Returns:
        One an image, their timings 0; None where the file is absent or of other images.
    """
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        if arrays["images"].tolist() != [image.name for image in images]:
            return None
        if "sha256" not in arrays or arrays["sha256"].tolist() != list(map(_sha256, images)):
            return None
        ends = arrays["counts"].cumsum()
        parts = [
            np.split(arrays[name], ends)[:-1] for name in ("boxes_xyxy_px", "scores", "class_ids")
        ]
        sizes = arrays["sizes"].tolist()
    return tuple(
        Detections(
            boxes_xyxy_px=boxes,
            scores=scores,
            class_ids=class_ids,
            width=width,
            height=height,
            **dict.fromkeys(_TIMINGS, 0.0),
        )
        for boxes, scores, class_ids, (width, height) in zip(*parts, sizes, strict=True)
    )


def _sha256(image: Path) -> str:
    try:
        return hashlib.sha256(image.read_bytes()).hexdigest()
    except OSError:  # who asks about it is told
        return ""
