"""Where the scenes play: what a fixed camera sees when nobody is there."""

from dataclasses import dataclass

import cv2
import numpy as np

from distill_jobs.data.canvas import Canvas, Colour, shade

_SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((104, 158, 214), (206, 224, 236)),
    ((168, 178, 188), (214, 216, 218)),
    ((92, 92, 138), (238, 176, 128)),
    ((44, 54, 84), (96, 104, 132)),
)
_WALLS: tuple[Colour, ...] = ((156, 98, 78), (178, 168, 150), (122, 128, 136), (196, 176, 138))
_GROUNDS: tuple[Colour, ...] = ((104, 106, 108), (128, 122, 112), (92, 98, 104))
_VERGES: tuple[Colour, ...] = ((98, 128, 72), (150, 146, 138), (120, 132, 86))


@dataclass(frozen=True)
class Place:
    """One camera's view.

    Attributes:
        horizon: Height of the horizon, as a fraction of the picture from the top.
        vanishing: Where the road's edges meet, x as a fraction of the width.
        light: Brightness of everything, about 1.
        sky: Colours at the top and at the horizon.
        wall: Of the houses.
        ground: Of the road.
        verge: Of what lies beside it.
        skyline: Seed of the houses.
    """

    horizon: float
    vanishing: float
    light: float
    sky: tuple[Colour, Colour]
    wall: Colour
    ground: Colour
    verge: Colour
    skyline: int

    @classmethod
    def imagine(cls, rng: np.random.Generator) -> "Place":
        """Draw the lot for a new place."""
        sky = int(rng.integers(len(_SKIES)))
        return cls(
            horizon=float(rng.uniform(0.2, 0.34)),
            vanishing=float(rng.uniform(0.25, 0.75)),
            light=(1.0, 0.94, 0.86, 0.62)[sky] * float(rng.uniform(0.92, 1.08)),
            sky=_SKIES[sky],
            wall=_WALLS[int(rng.integers(len(_WALLS)))],
            ground=_GROUNDS[int(rng.integers(len(_GROUNDS)))],
            verge=_VERGES[int(rng.integers(len(_VERGES)))],
            skyline=int(rng.integers(2**31)),
        )

    def paint(self, canvas: Canvas) -> None:
        """Paint sky, houses, ground and road, from far to near."""
        self._paint_sky(canvas)
        self._paint_houses(canvas)
        self._paint_ground(canvas)
        self._paint_road(canvas)

    def _paint_sky(self, canvas: Canvas) -> None:
        rows = round(canvas.side * self.horizon)
        t = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
        column = np.array(self.sky[0]) * (1 - t) + np.array(self.sky[1]) * t
        canvas.pixels[:rows] = column.astype(np.uint8)[:, None]

    def _paint_houses(self, canvas: Canvas) -> None:
        rng = np.random.default_rng(self.skyline)
        base, x = round(canvas.side * self.horizon), 0
        while x < canvas.side:
            width = int(canvas.side * rng.uniform(0.14, 0.3))
            top = base - int(canvas.side * self.horizon * rng.uniform(0.35, 0.85))
            wall = shade(self.wall, float(rng.uniform(0.75, 1.1)) * self.light)
            cv2.rectangle(canvas.pixels, (x, top), (x + width, base), wall, -1)
            _paint_windows(canvas, rng, (x, top, x + width, base), shade(wall, 0.55))
            x += width + int(canvas.side * rng.uniform(0, 0.05))

    def _paint_ground(self, canvas: Canvas) -> None:
        first = round(canvas.side * self.horizon)
        rows = canvas.side - first
        t = np.linspace(0.82, 1.08, rows, dtype=np.float32)[:, None, None]
        grain = np.random.default_rng(self.skyline + 1).normal(0, 1, (rows, canvas.side, 1))
        coarse = cv2.GaussianBlur(grain, (0, 0), 5)[..., None] * 40
        verge = np.array(shade(self.verge, self.light), np.float32)
        canvas.pixels[first:] = np.clip(verge * t + coarse + grain * 3, 0, 255).astype(np.uint8)

    def _paint_road(self, canvas: Canvas) -> None:
        side, far = canvas.side, canvas.side * self.horizon
        middle = side * self.vanishing
        foot = side * (0.5 + (0.5 - self.vanishing) * 0.3)
        road = [
            (middle - side * 0.05, far),
            (middle + side * 0.05, far),
            (foot + side * 0.62, side),
            (foot - side * 0.62, side),
        ]
        asphalt = shade(self.ground, self.light)
        overlay: np.ndarray = canvas.pixels.copy()
        cv2.fillPoly(overlay, [np.array(road, np.int32)], asphalt, cv2.LINE_AA)
        canvas.pixels = cv2.addWeighted(overlay, 0.88, canvas.pixels, 0.12, 0)
        for a, b in ((road[0], road[3]), (road[1], road[2])):
            start, end = (int(a[0]), int(a[1])), (int(b[0]), int(b[1]))
            cv2.line(canvas.pixels, start, end, shade((206, 204, 198), self.light), 2, cv2.LINE_AA)
        self._paint_dashes(canvas, (middle, far), (foot, float(side)))

    def _paint_dashes(
        self, canvas: Canvas, start: tuple[float, float], end: tuple[float, float]
    ) -> None:
        colour = shade((232, 228, 206), self.light)
        for near in np.arange(0.06, 1.0, 0.16):
            ends = [near**1.6, (near + 0.08) ** 1.6]
            corners = []
            for t, sign in ((ends[0], -1), (ends[0], 1), (ends[1], 1), (ends[1], -1)):
                half = canvas.side * (0.002 + 0.014 * t)
                x = start[0] + (end[0] - start[0]) * t + sign * half
                corners.append((x, start[1] + (end[1] - start[1]) * t))
            cv2.fillPoly(canvas.pixels, [np.array(corners, np.int32)], colour, cv2.LINE_AA)


def _paint_windows(
    canvas: Canvas, rng: np.random.Generator, house: tuple[int, int, int, int], dark: Colour
) -> None:
    left, top, right, bottom = house
    step = max(8, canvas.side // 26)
    for y in range(top + step // 2, bottom - step // 2, step):
        for x in range(left + step // 2, right - step // 2, step):
            lit = rng.random() < 0.12
            colour = (246, 220, 150) if lit else dark
            cv2.rectangle(canvas.pixels, (x, y), (x + step // 2, y + step // 2), colour, -1)
