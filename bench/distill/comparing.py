"""Arms held against each other on the images that were held out, with bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.distill.cells import Figures
from distill_jobs.release.bootstrap import Precisions, as_they_are, draw, interval
from distill_jobs.release.matches import ImageMatches

RESAMPLES = 2000
_SEED = 0
# Each bound one-sided, so that both enclose 95%.
_CONFIDENCE = 0.975

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scored:
    """An arm's answers on the held-out images.

    Attributes:
        arm: Its name.
        folds: By fold, then by seed: the held-out images' matches.
    """

    arm: str
    folds: Mapping[int, Mapping[int, Sequence[ImageMatches]]]

    def seeds(self) -> tuple[int, ...]:
        """Return the seeds that every fold was trained with."""
        return tuple(sorted(set.intersection(*(set(one) for one in self.folds.values()))))


@dataclass(frozen=True)
class Resampled:
    """An arm's figures: as they are, and in each resample; seeds averaged, folds pooled.

    Attributes:
        map50: float64 [1 + B], the first of the images as they are.
        map50_95: Likewise.
    """

    map50: Floats
    map50_95: Floats


def resample(scored: Scored, folds: Sequence[int]) -> Resampled:
    """Reckon an arm's mAP on the pooled images of some folds.

    The same folds give the same resamples for every arm: figures of two arms are paired.

    Args:
        scored: The arm.
        folds: Numbers; the arm has them all.
    """
    seeds = scored.seeds()
    strata = [fold for fold in folds for _ in scored.folds[fold][seeds[0]]]
    drawn = draw(images=len(strata), resamples=RESAMPLES, seed=_SEED, strata=strata)
    counts = np.concatenate([as_they_are(len(strata)), drawn])
    found = [_precisions(scored, folds, seed, counts) for seed in seeds]
    return Resampled(
        np.mean([one.map50 for one in found], axis=0),
        np.mean([one.map50_95 for one in found], axis=0),
    )


def bounded(values: Floats, *, points: bool = True) -> Figures:
    """Return a figure with its 95% interval.

    Args:
        values: float64 [1 + B], the first as it is.
        points: In hundredths, as mAP is read; else as it is.
    """
    scale = 100.0 if points else 1.0
    low, high = interval(values[1:], _CONFIDENCE)
    rounded = [round(scale * float(value), 4) for value in (values[0], low, high)]
    return dict(zip(("value", "low", "high"), rounded, strict=True))


def difference(first: Resampled, second: Resampled) -> Figures:
    """Return how many points the first arm is above the second."""
    return {
        "map50_95": bounded(first.map50_95 - second.map50_95),
        "map50": bounded(first.map50 - second.map50),
        "share_of_resamples_above": round(float((first.map50_95 > second.map50_95)[1:].mean()), 4),
    }


def retention(student: Resampled, teacher: Resampled) -> Figures:
    """Return how much of its teacher's mAP a student keeps, in percent."""
    return {
        "map50_95": bounded(student.map50_95 / teacher.map50_95),
        "map50": bounded(student.map50 / teacher.map50),
    }


def gap_closed(ours: Resampled, none: Resampled, teacher: Resampled) -> Figures:
    """Return which share of the way from no teacher to the teacher is gone, in percent.

    Resamples in which the teacher is no better than the student without one have no such share;
    they are counted.
    """
    gap = teacher.map50_95 - none.map50_95
    share = np.full_like(gap, np.nan)
    np.divide(ours.map50_95 - none.map50_95, gap, out=share, where=gap > 0)
    return {
        "map50_95": bounded(share),
        "gap_map50_95": bounded(gap),
        "resamples_without_gap": int((gap[1:] <= 0).sum()),
    }


def _precisions(
    scored: Scored, folds: Sequence[int], seed: int, counts: npt.NDArray[np.int64]
) -> Precisions:
    pooled = [one for fold in folds for one in scored.folds[fold][seed]]
    class_ids = sorted({int(one) for image in pooled for one in image.true_ids})
    return Precisions.of(pooled, class_ids, counts)
