"""Fitting an image to a network's square input, as releases, ultralytics and YOLOv5 do."""

import numpy as np
from numpy.typing import NDArray

from handlers.card import Input
from handlers.fitting import Geometry, letterbox

LETTERBOX_PAD = 114
LETTERBOX_SCALE_UP = True
SCALE = 1 / 255


def square(side_px: int) -> Input:
    """Return how an image is fitted: centred, grey beside it, 0 to 1."""
    return Input(
        width=side_px,
        height=side_px,
        letterbox_pad=LETTERBOX_PAD,
        letterbox_scale_up=LETTERBOX_SCALE_UP,
        scale=SCALE,
        tensor_name="",
        output_name="",
    )


def fit(image: NDArray[np.uint8], side_px: int) -> tuple[NDArray[np.float32], Geometry]:
    """Letterbox an image into a square.

    Args:
        image: uint8 [H, W, 3], RGB.
        side_px: Of the square.

    Returns:
        float32 [3, side, side], and where the image lies in it.
    """
    return letterbox(image, square(side_px))
