"""Objects by their area in the original image, as COCO sorts them."""

from collections.abc import Sequence

import numpy as np

from distill_jobs.data.dataset import Sample
from distill_jobs.release.matches import ImageMatches, match
from handlers.pipeline import Detections

# COCO's `cocoeval.py`, Params.setDetParams: areaRng and areaRngLbl.
AREAS_PX = {
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, float(np.inf)),
}


def match_sizes(
    answers: Sequence[Detections], samples: Sequence[Sample]
) -> dict[str, tuple[ImageMatches, ...]]:
    """Compare answers with the labels of each size.

    Args:
        answers: One an image, scores from 0.001.
        samples: The images' labels.

    Returns:
        By size, one an image: what `bootstrap.Precisions` takes.

    Raises:
        DataSetInvalid: A label does not fit.
    """
    return {
        size: tuple(
            match(answer, sample, area_px) for answer, sample in zip(answers, samples, strict=True)
        )
        for size, area_px in AREAS_PX.items()
    }
