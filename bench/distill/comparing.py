"""Arms held against each other on the images that were held out, with bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.distill.cells import Figures
from distill_jobs.release.bootstrap import Bounded, Precisions, as_they_are, draw
from distill_jobs.release.matches import ImageMatches

RESAMPLES = 2000
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
    """An arm's figures: as they are, and in each resample; seeds averaged.

    `map50` and `map50_95` are means over the folds of each fold's own: each is one model's, whose
    scores order its own detections alone. Pooled, detections of several models stand in one order,
    and an arm whose scores lie higher in one fold than in another loses by that alone.

    Attributes:
        map50: float64 [1 + B], the first of the images as they are.
        map50_95: Likewise.
        pooled_map50_95: Likewise, of all folds' images in one curve.
    """

    map50: Floats
    map50_95: Floats
    pooled_map50_95: Floats


def resample(scored: Scored, folds: Sequence[int]) -> Resampled:
    """Reckon an arm's mAP on the images of some folds.

    A fold's resamples are the same for every arm: figures of two arms are paired.

    Args:
        scored: The arm.
        folds: Numbers; the arm has them all.
    """
    seeds = scored.seeds()
    counts = {fold: _counts(fold, len(scored.folds[fold][seeds[0]])) for fold in folds}
    alone = [_precisions(scored, [fold], seed, counts) for fold in folds for seed in seeds]
    pooled = [_precisions(scored, folds, seed, counts) for seed in seeds]
    return Resampled(
        np.mean([one.map50 for one in alone], axis=0),
        np.mean([one.map50_95 for one in alone], axis=0),
        np.mean([one.map50_95 for one in pooled], axis=0),
    )


def bounded(values: Floats, *, points: bool = True) -> Figures:
    """Return a figure with its 95% interval; None for what cannot be reckoned.

    Args:
        values: float64 [1 + B], the first as it is.
        points: In hundredths, as mAP is read; else as it is.
    """
    scale = 100.0 if points else 1.0
    found = Bounded.of(values[0], values[1:], _CONFIDENCE)
    return {
        name: None if np.isnan(value) else round(scale * float(value), 4)
        for name, value in (("value", found.value), ("low", found.low), ("high", found.high))
    }


def difference(first: Resampled, second: Resampled) -> Figures:
    """Return how many points the first arm is above the second."""
    return {
        "map50_95": bounded(first.map50_95 - second.map50_95),
        "map50": bounded(first.map50 - second.map50),
        "pooled_map50_95": bounded(first.pooled_map50_95 - second.pooled_map50_95),
        "share_of_resamples_above": round(float((first.map50_95 > second.map50_95)[1:].mean()), 4),
    }


def retention(student: Resampled, teacher: Resampled) -> Figures:
    """Return how much of its teacher's mAP a student keeps, in percent."""
    return {
        "map50_95": bounded(_share(student.map50_95, teacher.map50_95)),
        "map50": bounded(_share(student.map50, teacher.map50)),
    }


def gap_closed(ours: Resampled, none: Resampled, teacher: Resampled) -> Figures:
    """Return which share of the way from no teacher to the teacher is gone, in percent.

    Resamples in which the teacher is no better than the student without one have no such share:
    they are counted, and where they are many the share has no bounds.
    """
    gap = teacher.map50_95 - none.map50_95
    return {
        "map50_95": bounded(_share(ours.map50_95 - none.map50_95, gap)),
        "gap_map50_95": bounded(gap),
        "resamples_without_gap": int((gap[1:] <= 0).sum()),
    }


def _share(part: Floats, whole: Floats) -> Floats:
    """Divide; NaN where there is no whole."""
    return np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)


def _counts(fold: int, images: int) -> npt.NDArray[np.int64]:
    """Return how often each of a fold's images counts: int64 [1 + B, I]."""
    drawn = draw(images=images, resamples=RESAMPLES, seed=fold)
    return np.concatenate([as_they_are(images), drawn])


def _precisions(
    scored: Scored, folds: Sequence[int], seed: int, counts: Mapping[int, npt.NDArray[np.int64]]
) -> Precisions:
    images = [one for fold in folds for one in scored.folds[fold][seed]]
    class_ids = sorted({int(one) for image in images for one in image.true_ids})
    return Precisions.of(images, class_ids, np.hstack([counts[fold] for fold in folds]))
