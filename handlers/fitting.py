"""Where an image lies in the model's input, and putting it there."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from handlers.card import Input


@dataclass(frozen=True)
class Geometry:
    """Where a frame lies in the model's input; input = original * scale + offset, axis by axis.

    Attributes:
        width: Of the original image, in pixels.
        height: Of the original image, in pixels.
        scale_x: Input pixels per original pixel. Each side is rounded to whole pixels, so the two
            scales differ a little.
        scale_y: Likewise.
        left: Border before the image, in input pixels.
        top: Likewise.
    """

    width: int
    height: int
    scale_x: float
    scale_y: float
    left: int
    top: int


@dataclass(frozen=True)
class Fit:
    """How images of one size are fitted: scaled into the middle of the input, their aspect kept.

    Rounds as ultralytics' `LetterBox` (centred) does, so that accuracy measured there holds here.

    Attributes:
        width: Of the input, in pixels.
        height: Likewise.
        inner_width: Of the scaled image in it, in pixels.
        inner_height: Likewise.
        geometry: The way back to the original.
    """

    width: int
    height: int
    inner_width: int
    inner_height: int
    geometry: Geometry

    @classmethod
    def of(cls, width: int, height: int, spec: Input) -> "Fit":
        """Fit an image into the card's input, or into the smallest rectangle of whole strides.

        Args:
            width: Of the image, in pixels.
            height: Likewise.
            spec: The card's input. With a stride, a side of the rectangle is a multiple of it with
                half a one to spare where the input allows that, as ultralytics validates: objects
                at a picture's edge are found the better for some grey beyond it.
        """
        ratio = min(spec.height / height, spec.width / width)
        if not spec.letterbox_scale_up:
            ratio = min(ratio, 1.0)
        inner_width, inner_height = max(round(width * ratio), 1), max(round(height * ratio), 1)
        to_width, to_height = spec.width, spec.height
        if spec.stride:
            to_width = min(to_width, _in_strides(inner_width, spec.stride))
            to_height = min(to_height, _in_strides(inner_height, spec.stride))
        # Less 0.1: an odd border's spare pixel goes right and down.
        left = round((to_width - inner_width) / 2 - 0.1)
        top = round((to_height - inner_height) / 2 - 0.1)
        geometry = Geometry(width, height, inner_width / width, inner_height / height, left, top)
        return cls(to_width, to_height, inner_width, inner_height, geometry)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the input."""
        return self.height, self.width

    def resize(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Scale an image to its size in the input: uint8 [inner_height, inner_width, 3]."""
        if image.shape[:2] == (self.inner_height, self.inner_width):
            return image
        size = (self.inner_width, self.inner_height)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)

    def place(self, inner: NDArray[np.uint8], spec: Input, out: NDArray[np.float32]) -> None:
        """Write a scaled image and the grey around it as levels times `spec.scale`.

        Args:
            inner: uint8 [inner_height, inner_width, 3], RGB.
            spec: The card's input.
            out: float32 [3, height, width]; every value is written.
        """
        left, top = self.geometry.left, self.geometry.top
        right, bottom = left + self.inner_width, top + self.inner_height
        scale = np.float32(spec.scale)
        pad = spec.letterbox_pad * scale
        out[:, :top] = pad
        out[:, bottom:] = pad
        out[:, top:bottom, :left] = pad
        out[:, top:bottom, right:] = pad
        # Plane by plane: cv2.split and plain passes over what the cache still holds beat a strided
        # pass over [H, W, 3], cv2.LUT, cv2.multiply and cv2.dnn.blobFromImage.
        for plane, levels in zip(out, cv2.split(inner), strict=True):
            place = plane[top:bottom, left:right]
            place[...] = levels
            place *= scale


def _in_strides(side_px: int, stride: int) -> int:
    return math.ceil(side_px / stride + 0.5) * stride


def letterbox(
    image: NDArray[np.uint8], spec: Input, out: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.float32], Geometry]:
    """Fit an image into the model's input.

    Args:
        image: uint8 [H, W, 3], RGB.
        spec: The card's input.
        out: float32 [3, height, width] of the fit to write into.

    Returns:
        The input (`out`, if it was given), float32 [3, height, width], levels times `spec.scale`;
        and where the image lies in it.
    """
    fit = Fit.of(image.shape[1], image.shape[0], spec)
    if out is None:
        out = np.empty((3, *fit.shape), np.float32)
    fit.place(fit.resize(image), spec, out)
    return out, fit.geometry
