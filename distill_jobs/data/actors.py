"""What walks, drives and lies about in the scenes: four classes, each drawn from a few strokes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from distill_jobs.data.canvas import Brush, Colour, shade

_GLASS: Colour = (52, 66, 78)
_RUBBER: Colour = (28, 28, 30)
_SKIN: tuple[Colour, ...] = ((236, 196, 168), (198, 148, 112), (128, 88, 62), (84, 58, 44))
_PAINT: tuple[Colour, ...] = (
    (186, 40, 38),
    (38, 84, 158),
    (222, 222, 218),
    (58, 62, 66),
    (224, 176, 44),
    (44, 122, 88),
    (150, 156, 160),
)
_CLOTH: tuple[Colour, ...] = (
    (196, 58, 52),
    (46, 92, 172),
    (238, 198, 62),
    (54, 138, 84),
    (232, 232, 228),
    (112, 62, 138),
    (226, 122, 42),
    (48, 48, 54),
)


@dataclass(frozen=True)
class Actor:
    """A class of objects.

    Attributes:
        name: Of the class.
        height: Of an object in the foreground, as a fraction of the picture's.
        aspect: Width over height.
        draw: Paints one object with the given brush.
    """

    name: str
    height: float
    aspect: float
    draw: Callable[[Brush, np.random.Generator], None]


def _pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    jitter = float(rng.uniform(0.85, 1.12))
    return shade(colours[int(rng.integers(len(colours)))], jitter)


def _car(brush: Brush, rng: np.random.Generator) -> None:
    paint = _pick(rng, _PAINT)
    roof = float(rng.uniform(0.92, 1.0))
    brush.polygon([(-0.32, 0.5), (-0.2, roof), (0.14, roof), (0.3, 0.5)], shade(paint, 0.86))
    brush.polygon([(-0.27, 0.54), (-0.18, 0.9), (-0.03, 0.9), (-0.03, 0.54)], _GLASS)
    brush.polygon([(0.01, 0.54), (0.01, 0.9), (0.12, 0.9), (0.24, 0.54)], _GLASS)
    brush.polygon(
        [(-0.5, 0.16), (-0.49, 0.5), (-0.3, 0.57), (0.3, 0.55), (0.48, 0.44), (0.5, 0.16)], paint
    )
    brush.box(-0.5, 0.14, 0.5, 0.24, shade(paint, 0.6))
    brush.box(0.43, 0.34, 0.49, 0.42, (250, 240, 190))
    brush.box(-0.5, 0.36, -0.46, 0.46, (190, 30, 30))
    for x in (-0.28, 0.28):
        brush.disc((x, 0.16), 0.17, _RUBBER)
        brush.disc((x, 0.16), 0.08, (150, 152, 156))


def _person(brush: Brush, rng: np.random.Generator) -> None:
    shirt, trousers = _pick(rng, _CLOTH), shade(_pick(rng, _CLOTH), 0.6)
    skin, step = _pick(rng, _SKIN), float(rng.uniform(0.05, 0.36))
    brush.polygon([(-0.2, 0.48), (-step, 0.0), (0.14 - step, 0.0), (0.06, 0.48)], trousers)
    brush.polygon(
        [(-0.04, 0.48), (step - 0.12, 0.0), (step + 0.04, 0.0), (0.2, 0.48)], shade(trousers, 0.8)
    )
    brush.polygon([(-0.28, 0.45), (-0.3, 0.82), (0.3, 0.82), (0.28, 0.45)], shirt)
    swing = float(rng.uniform(-0.15, 0.15))
    brush.line((-0.3, 0.78), (-0.38 + swing, 0.46), 0.06, shade(shirt, 0.8))
    brush.line((0.3, 0.78), (0.38 + swing, 0.46), 0.06, shade(shirt, 0.8))
    brush.disc((0.0, 0.91), 0.085, skin)
    brush.polygon([(-0.2, 0.92), (-0.16, 1.0), (0.16, 1.0), (0.2, 0.92)], _pick(rng, _CLOTH[-3:]))


def _bicycle(brush: Brush, rng: np.random.Generator) -> None:
    frame = _pick(rng, _CLOTH[:4])
    for x in (-0.3, 0.3):
        brush.ring((x, 0.3), 0.27, 0.06, _RUBBER)
        brush.line((x, 0.3), (x, 0.56), 0.02, (120, 120, 124))
        brush.line((x - 0.14, 0.3), (x + 0.14, 0.3), 0.02, (120, 120, 124))
    for start, end in (
        ((-0.3, 0.3), (-0.14, 0.72)),
        ((-0.14, 0.72), (0.2, 0.74)),
        ((-0.14, 0.72), (0.0, 0.3)),
        ((0.0, 0.3), (0.2, 0.74)),
        ((-0.3, 0.3), (0.0, 0.3)),
        ((0.17, 0.9), (0.3, 0.3)),
    ):
        brush.line(start, end, 0.07, frame)
    brush.line((-0.2, 0.86), (-0.06, 0.86), 0.08, _RUBBER)
    brush.line((-0.14, 0.72), (-0.14, 0.84), 0.05, _RUBBER)
    brush.line((0.08, 0.94), (0.24, 0.9), 0.06, _RUBBER)


def _parcel(brush: Brush, rng: np.random.Generator) -> None:
    card = _pick(rng, ((188, 142, 92), (206, 162, 108), (164, 120, 78)))
    edge = float(rng.uniform(0.1, 0.28))
    brush.box(-0.5, 0.0, edge, 0.76, card)
    brush.polygon([(edge, 0.0), (0.5, 0.2), (0.5, 0.96), (edge, 0.76)], shade(card, 0.66))
    brush.polygon([(-0.5, 0.76), (-0.2, 0.98), (0.5, 0.96), (edge, 0.76)], shade(card, 1.2))
    middle = (edge - 0.5) / 2
    brush.box(middle - 0.06, 0.0, middle + 0.06, 0.76, (226, 206, 160))
    brush.box(-0.46, 0.1, -0.26, 0.3, (240, 238, 230))


ACTORS: tuple[Actor, ...] = (
    Actor("car", 0.27, 1.95, _car),
    Actor("person", 0.36, 0.38, _person),
    Actor("bicycle", 0.22, 1.5, _bicycle),
    Actor("parcel", 0.15, 1.2, _parcel),
)
