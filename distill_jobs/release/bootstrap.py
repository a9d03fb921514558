"""How sure a figure is: images drawn again and again, the same ones for all models (paired).

The percentile bootstrap (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 12
and 13): B times, as many images as there are are drawn with replacement; the figure's quantiles
over the resamples are its bounds. The unit is the image, since boxes of one image are not
independent. A comparison reckons both models on the same drawn images, so what makes an image hard
for both cancels.

    drawn = draw(images=len(student), resamples=1000, seed=0)
    ours, theirs = (Precisions.of(one, classes, drawn).map50 for one in (student, teacher))
    low, high = interval(ours / theirs, 0.95)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distill_jobs.release.average_precision import Counts, Floats, average_precisions
from distill_jobs.release.matches import ImageMatches

# What reports show where a job file names no confidence.
REPORTED_CONFIDENCE = 0.95


def draw(*, images: int, resamples: int, seed: int, strata: Sequence[int] | None = None) -> Counts:
    """Draw images with replacement.

    Args:
        images: How many there are, I.
        resamples: How often, B.
        seed: The same seed draws the same.
        strata: A group for each image, for example its fold: each group is drawn from for itself
            and keeps its size. None: one group.

    Returns:
        int64 [B, I]: how often each image was drawn; each row sums to I.
    """
    generator = np.random.default_rng(seed)
    groups = np.zeros(images, np.int64) if strata is None else np.asarray(strata)
    counts = np.zeros((resamples, images), np.int64)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        counts[:, members] = generator.multinomial(
            len(members), np.full(len(members), 1 / len(members)), size=resamples
        )
    return counts


def as_they_are(images: int) -> Counts:
    """Return the counts that draw each image once: int64 [1, I]."""
    return np.ones((1, images), np.int64)


def interval(values: Floats, confidence: float) -> tuple[float, float]:
    """Return a figure's lower and upper bound, each one-sided at `confidence`.

    Both together enclose it with 2 `confidence` - 1: ask for 0.975 for a two-sided 95% interval.

    Args:
        values: float64 [B], one a resample; NaN where the figure could not be reckoned.
        confidence: Above 0.5, below 1.

    Returns:
        The quantiles 1 - confidence and confidence; NaN where every value is.
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [1 - confidence, confidence])
    return float(low), float(high)


@dataclass(frozen=True)
class Bounded:
    """A figure and how sure it is.

    Attributes:
        value: On the images as they are; NaN where it cannot be reckoned.
        low: Its lower bound, one-sided; NaN where there is none.
        high: Its upper bound, one-sided; likewise.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, resampled: Floats, confidence: float) -> "Bounded":
        """Bound a figure by its values in the resamples, float64 [B].

        Where more than 1 - `confidence` of them are NaN either bound may lie among those: then it
        has none.
        """
        if np.isnan(resampled).mean() > 1 - confidence:
            return cls.unsure(value)
        return cls(float(value), *interval(resampled, confidence))

    @classmethod
    def exact(cls, value: float) -> "Bounded":
        """Return a figure that no sampling moves: a file's size."""
        return cls(value, value, value)

    @classmethod
    def unsure(cls, value: float) -> "Bounded":
        """Return a figure that too little stands behind to bound it."""
        return cls(float(value), float("nan"), float("nan"))


@dataclass(frozen=True)
class Precisions:
    """A detector's average precisions in each resample.

    Attributes:
        class_ids: The classes, C of them.
        values: float64 [B, C, 10]: AP at IoU 0.5 to 0.95; NaN where a resample has no label of the
            class.
    """

    class_ids: tuple[int, ...]
    values: Floats

    @classmethod
    def of(
        cls, matches: Sequence[ImageMatches], class_ids: Sequence[int], counts: Counts
    ) -> "Precisions":
        """Reckon them.

        Args:
            matches: One an image, I of them.
            class_ids: Which classes; `average_precision.classes_present` names those with labels.
            counts: int64 [B, I] of `draw`, or of `as_they_are`.
        """
        return cls(tuple(class_ids), average_precisions(matches, class_ids, counts))

    @property
    def map50(self) -> Floats:
        """Mean over the classes with labels of the AP at IoU 0.5: float64 [B]; NaN without any."""
        return _mean(self.values[:, :, 0])

    @property
    def map50_95(self) -> Floats:
        """Mean over the classes with labels and IoU 0.5 to 0.95: float64 [B]; NaN without any."""
        return _mean(self.values.mean(axis=2))

    def ap50(self, class_id: int) -> Floats:
        """One class's AP at IoU 0.5: float64 [B]; NaN where it has no label."""
        return self.values[:, self.class_ids.index(class_id), 0]

    def ap50_95(self, class_id: int) -> Floats:
        """One class's mean AP at IoU 0.5 to 0.95: float64 [B]; NaN where it has no label."""
        values: Floats = self.values[:, self.class_ids.index(class_id)].mean(axis=1)
        return values


def _mean(values: npt.NDArray[np.float64]) -> Floats:
    """Average each row of float64 [B, C] over what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    total, count = np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1)
    mean: Floats = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    return mean
