"""A picture being painted, and which object each of its pixels shows."""

from collections.abc import Sequence

import cv2
import numpy as np

Colour = tuple[float, float, float]


def shade(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker (factor below 1) or lighter (above 1)."""
    red, green, blue = (min(255.0, channel * factor) for channel in colour)
    return red, green, blue


class Canvas:
    """Pixels and owners.

    Attributes:
        side: Width and height, pixels.
        pixels: uint8 [side, side, 3], RGB.
        owners: int16 [side, side]: the object that a pixel shows, -1 for the background.
    """

    def __init__(self, side: int) -> None:
        self.side = side
        self.pixels: np.ndarray = np.zeros((side, side, 3), np.uint8)
        self.owners: np.ndarray = np.full((side, side), -1, np.int16)

    def darken(self, centre: tuple[float, float], radii: tuple[float, float], by: float) -> None:
        """Lay a soft elliptic shadow on what is painted already.

        Args:
            centre: x, y in pixels.
            radii: Half width and half height, pixels.
            by: 0 leaves the ground as it is, 1 makes it black.
        """
        mask: np.ndarray = np.zeros((self.side, self.side), np.float32)
        axes = (max(1, round(radii[0])), max(1, round(radii[1])))
        cv2.ellipse(mask, (round(centre[0]), round(centre[1])), axes, 0, 0, 360, by, -1)
        mask = cv2.GaussianBlur(mask, (0, 0), max(1.0, radii[1] / 2))
        self.pixels = (self.pixels * (1 - mask[..., None])).astype(np.uint8)


class Brush:
    """Paints one object in its own coordinates: x from -0.5 to 0.5, y from 0 (ground) up to 1.

    Args:
        canvas: Painted on.
        owner: Number of the object; every stroke claims its pixels for it.
        foot: Where the object stands: x, y in pixels.
        width: Of the object, pixels; negative mirrors it.
        height: Of the object, pixels.
        light: Factor on every colour.
    """

    def __init__(
        self,
        canvas: Canvas,
        owner: int,
        *,
        foot: tuple[float, float],
        width: float,
        height: float,
        light: float,
    ) -> None:
        self._canvas = canvas
        self._owner = owner
        self._foot = foot
        self._width = width
        self._height = height
        self._light = light

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        """Fill a polygon."""
        corners = np.array([self._place(point) for point in points], np.int32)
        cv2.fillPoly(self._canvas.pixels, [corners], self._lit(colour), cv2.LINE_AA)
        cv2.fillPoly(self._canvas.owners, [corners], (self._owner,))

    def box(self, left: float, bottom: float, right: float, top: float, colour: Colour) -> None:
        """Fill an upright rectangle."""
        self.polygon([(left, bottom), (right, bottom), (right, top), (left, top)], colour)

    def disc(self, centre: tuple[float, float], radius: float, colour: Colour) -> None:
        """Fill a circle; the radius is a fraction of the object's height."""
        place, pixels = self._place(centre), max(1, round(radius * self._height))
        cv2.circle(self._canvas.pixels, place, pixels, self._lit(colour), -1, cv2.LINE_AA)
        cv2.circle(self._canvas.owners, place, pixels, (self._owner,), -1)

    def ring(
        self, centre: tuple[float, float], radius: float, stroke: float, colour: Colour
    ) -> None:
        """Draw a circle's outline; radius and stroke are fractions of the object's height."""
        place, pixels = self._place(centre), max(1, round(radius * self._height))
        thick = max(1, round(stroke * self._height))
        cv2.circle(self._canvas.pixels, place, pixels, self._lit(colour), thick, cv2.LINE_AA)
        cv2.circle(self._canvas.owners, place, pixels, (self._owner,), thick)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], stroke: float, colour: Colour
    ) -> None:
        """Draw a line; the stroke is a fraction of the object's height."""
        a, b, thick = self._place(start), self._place(end), max(1, round(stroke * self._height))
        cv2.line(self._canvas.pixels, a, b, self._lit(colour), thick, cv2.LINE_AA)
        cv2.line(self._canvas.owners, a, b, (self._owner,), thick)

    def _place(self, point: tuple[float, float]) -> tuple[int, int]:
        return (
            round(self._foot[0] + point[0] * self._width),
            round(self._foot[1] - point[1] * self._height),
        )

    def _lit(self, colour: Colour) -> Colour:
        return shade(colour, self._light)
