"""How far boxes overlap, and which belong together."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Boxes = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]


def iou_matrix(first: Boxes, second: Boxes) -> npt.NDArray[np.float32]:
    """Return the intersection over union of every pair.

    Args:
        first: float32 [A, 4], corners (x1, y1, x2, y2).
        second: float32 [B, 4], the same.

    Returns:
        float32 [A, B], 0 to 1; 0 where both boxes are empty.
    """
    a, b = first[:, None, :].astype(np.float64), second[None, :, :].astype(np.float64)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.clip(sides, 0, None).prod(axis=-1)
    union = _areas(a) + _areas(b) - shared
    overlaps: npt.NDArray[np.float64] = np.zeros_like(shared)
    np.divide(shared, union, out=overlaps, where=union > 0)
    return overlaps.astype(np.float32)


def pair_up(overlaps: npt.NDArray[np.float32], min_iou: float) -> tuple[Indices, Indices]:
    """Pair rows with columns one to one: as many pairs as can be, then the highest overlap.

    Args:
        overlaps: float32 [A, B]; pairs of different classes are 0.
        min_iou: Pairs below it are none; above 0.

    Returns:
        Rows and columns of the pairs, int [M] each.
    """
    # Each allowed pair outweighs what all the overlaps together could gain, so their number rules.
    allowed = overlaps >= min_iou
    worth = np.where(allowed, overlaps + min(overlaps.shape, default=0) + 1.0, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    kept = allowed[rows, columns]
    return rows[kept], columns[kept]


def _areas(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    areas: npt.NDArray[np.float64] = np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(axis=-1)
    return areas
