"""The benchmark's figures are of squares: some are older than the rectangles of releases."""

from pathlib import Path

from bench.distill.folds import Fold
from bench.distill.measuring import card_of
from distill_jobs.data.dataset import Sample


def test_models_are_measured_on_squares() -> None:
    held_out = (Sample(Path("0.jpg"), None, 1),)

    card = card_of(Fold(0, ("cell",), (), (), held_out), 320)

    assert (card.input.width, card.input.height, card.input.stride) == (320, 320, 0)
