"""Fitting a source image to a teacher's own input."""

import numpy as np
from numpy.typing import NDArray

from handlers.card import Input
from handlers.images import Geometry, letterbox


def fit(image: NDArray[np.uint8], side_px: int) -> tuple[NDArray[np.float32], Geometry]:
    """Letterbox an image into a square as ultralytics and YOLOv5 do: centred, grey 114, 0 to 1.

    Args:
        image: uint8 [H, W, 3], RGB.
        side_px: Of the square.

    Returns:
        float32 [3, side, side], and where the image lies in it.
    """
    spec = Input(
        width=side_px,
        height=side_px,
        letterbox_pad=114,
        letterbox_scale_up=True,
        scale=1 / 255,
        tensor_name="",
        output_name="",
    )
    return letterbox(image, spec)
