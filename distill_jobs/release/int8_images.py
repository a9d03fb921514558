"""Which images INT8 is calibrated with, and on which the ways of making it are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distill_jobs.data.dataset import Sample
from distill_jobs.data.spread import spread
from distill_jobs.release.quantize import MAX_CALIBRATION_IMAGES

_MAX_CHOOSING_IMAGES = 100


@dataclass(frozen=True)
class Int8Images:
    """Images that make INT8; none of them judges it.

    Attributes:
        calibration: Value ranges are measured on them.
        choosing: Labelled; the ways of making it are compared on them.
    """

    calibration: tuple[Path, ...] = ()
    choosing: tuple[Sample, ...] = ()


def int8_images(train: Sequence[Sample], validation: Sequence[Sample]) -> Int8Images:
    """Choose them, evenly over their splits.

    Args:
        train: The training split; images without labels calibrate as well as others.
        validation: A split that does not judge. Where it is empty, training images that do not
            calibrate choose: half of the split at least stays for them.
    """
    most = MAX_CALIBRATION_IMAGES if validation else min(MAX_CALIBRATION_IMAGES, len(train) // 2)
    calibration = tuple(sample.image for sample in spread(train, max(1, most)))
    if validation:
        return Int8Images(calibration, tuple(validation))
    taken = set(calibration)
    others = [one for one in train if one.labelled and one.image not in taken]
    return Int8Images(calibration, tuple(spread(others, _MAX_CHOOSING_IMAGES)))
