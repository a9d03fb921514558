"""How far a score is from the share of detections that are right: calibration error.

With D the detections in score bins I(m), m = 1..M,

    D-ECE = Σ_m |I(m)| / |D| · |precision(m) - score(m)|,

where precision(m) is the share of the bin's detections that find a label at IoU 0.5 and score(m)
their mean score: Küppers et al., Multivariate Confidence Calibration for Object Detection (CVPR
workshops 2020), with the score as the only dimension. That is Guo et al.'s ECE (On Calibration of
Modern Neural Networks, ICML 2017, section 2) with the precision in place of the accuracy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distill_jobs.release.matches import ImageMatches

BINS = 10
# A detector gives hundreds of boxes an image near 0, all rightly doubted: they would outvote the
# few that anyone hears of.
MIN_SCORE = 0.05


@dataclass(frozen=True)
class Bin:
    """Detections of similar score.

    Attributes:
        low: Scores from here...
        high: ... to below here (1 in the last bin).
        detections: How many.
        score: Their mean score.
        precision: The share that is right.
    """

    low: float
    high: float
    detections: int
    score: float
    precision: float


@dataclass(frozen=True)
class Calibration:
    """How well scores say how often they are right.

    Attributes:
        error: D-ECE, 0 (perfect) to 1.
        detections: How many were binned.
        bins: Those that hold any, by score.
    """

    error: float
    detections: int
    bins: tuple[Bin, ...]


def calibrate(matches: Sequence[ImageMatches]) -> Calibration:
    """Bin the detections with a score of `MIN_SCORE` or more, all classes together.

    Args:
        matches: One an image.

    Returns:
        The error and the bins; 0 and none without a detection.
    """
    every = np.concatenate([np.zeros(0, np.float32), *(one.scores for one in matches)])
    right = np.concatenate([np.zeros(0, bool), *(one.hits[:, 0] for one in matches)])
    right, scores = right[every >= MIN_SCORE], every[every >= MIN_SCORE].astype(np.float64)
    places = np.minimum((scores * BINS).astype(int), BINS - 1)
    bins = tuple(
        Bin(
            low=place / BINS,
            high=(place + 1) / BINS,
            detections=int((places == place).sum()),
            score=float(scores[places == place].mean()),
            precision=float(right[places == place].mean()),
        )
        for place in np.unique(places).tolist()
    )
    error = sum(one.detections * abs(one.precision - one.score) for one in bins)
    return Calibration(error / max(1, len(scores)), len(scores), bins)
