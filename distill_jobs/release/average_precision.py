"""Average precision of weighted images: one implementation for a figure and for its bootstrap.

Ultralytics' validator reads the precision envelope at x = 0, 0.01, ... 1 of recall and integrates
by trapezes. Between two hits the precision only falls and the recall stands still, so the envelope
is a step function: E_p = max over q >= p of T_q / N_q on recalls [T_(p-1) / L, T_p / L), where T_p
and N_p are how many hits and how many detections there are down to the p-th hit, and L is how many
labels there are. With W(r) the trapezes' weight of all x below r,

    AP = Σ_p E_p (W(T_p / L) - W(T_(p-1) / L)).

An image that a bootstrap drew n times weighs n in T, N and L, so AP needs the hits alone, and one
cumulative sum over them serves all resamples at once. Equal scores stand in the images' order.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from distill_jobs.release.matches import IOU_THRESHOLDS, ImageMatches

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_RECALLS = np.linspace(0, 1, 101)
_TRAPEZES = np.concatenate([[0.0, 0.005], 0.005 + 0.01 * np.arange(1, 100), [1.0]])
_CHUNK = 128


def average_precisions(
    matches: Sequence[ImageMatches], class_ids: Sequence[int], counts: Counts
) -> Floats:
    """Reckon each class's AP on weighted images.

    Args:
        matches: One an image.
        class_ids: Which classes, C of them.
        counts: int [B, I]: how often each of the I images is drawn in each of B resamples; a row of
            ones for the images as they are.

    Returns:
        float64 [B, C, 10]: AP at each IoU threshold, 0 to 1; NaN where no drawn image has a label
        of the class.
    """
    stacked = _Stacked(matches)
    result = np.full((len(counts), len(class_ids), len(IOU_THRESHOLDS)), np.nan)
    for place, class_id in enumerate(class_ids):
        curve = _Curve(stacked, class_id, len(matches))
        for start in range(0, len(counts), _CHUNK):
            rows = slice(start, start + _CHUNK)
            result[rows, place] = curve.average_precision(counts[rows])
    return result


def classes_present(matches: Sequence[ImageMatches]) -> tuple[int, ...]:
    """Return the ids of the classes that the labels hold, rising."""
    return tuple(int(one) for one in np.unique(_joined([one.true_ids for one in matches])))


class _Stacked:
    """All images' detections in one row, with the image each is of."""

    def __init__(self, matches: Sequence[ImageMatches]) -> None:
        none = np.zeros((0, len(IOU_THRESHOLDS)), bool)
        self.hits = np.concatenate([none, *(one.hits for one in matches)])
        self.scores = np.concatenate([np.zeros(0, np.float32), *(one.scores for one in matches)])
        self.class_ids = _joined([one.class_ids for one in matches])
        self.images = _owners([len(one.scores) for one in matches])
        self.true_ids = _joined([one.true_ids for one in matches])
        self.true_images = _owners([len(one.true_ids) for one in matches])
        self.ignored: npt.NDArray[np.bool_] | None = None
        if any(one.ignored is not None for one in matches):
            self.ignored = np.concatenate(
                [np.zeros_like(one.hits) if one.ignored is None else one.ignored for one in matches]
            )


class _Curve:
    """A class's detections by score, reduced to those that hit at some IoU threshold."""

    def __init__(self, stacked: _Stacked, class_id: int, images: int) -> None:
        chosen = np.flatnonzero(stacked.class_ids == class_id)
        order = chosen[np.argsort(-stacked.scores[chosen], kind="stable")]
        hits = stacked.hits[order]
        places = np.flatnonzero(hits.any(axis=1))
        seen = order[: places[-1] + 1] if places.size else order[:0]
        # Detection k stands at or before hit steps[k]; what comes after the last hit never matters.
        steps = np.searchsorted(places, np.arange(len(seen)))
        ignored = None if stacked.ignored is None else stacked.ignored[seen]
        self._hits = hits[places]
        self._hit_images = stacked.images[order[places]]
        self._steps = tuple(
            _steps(stacked.images[seen], steps, (images, len(places)), kept)
            for kept in _columns(ignored)
        )
        self._labels = np.bincount(
            stacked.true_images[stacked.true_ids == class_id], minlength=images
        )

    def average_precision(self, counts: Counts) -> Floats:
        """Return float64 [B, 10] for int [B, I]; NaN without labels."""
        labels = (counts @ self._labels).astype(np.float64)
        result = np.zeros((len(counts), len(IOU_THRESHOLDS)))
        drawn = counts[:, self._hit_images]
        detections = [np.cumsum((steps.T @ counts.T).T, axis=1) for steps in self._steps]
        for place in range(len(IOU_THRESHOLDS)):
            found = np.cumsum(drawn * self._hits[:, place], axis=1)
            result[:, place] = _area(found, detections[place % len(detections)], labels)
        result[labels == 0] = np.nan
        return result


def _steps(
    images: Counts, steps: Counts, shape: tuple[int, int], kept: npt.NDArray[np.bool_] | None
) -> csr_array:
    """Count each image's detections between one hit and the next: [I, P]."""
    if kept is not None:
        images, steps = images[kept], steps[kept]
    return csr_array((np.ones(len(images), np.int64), (images, steps)), shape=shape)


def _columns(
    ignored: npt.NDArray[np.bool_] | None,
) -> tuple[npt.NDArray[np.bool_] | None, ...]:
    """Return which detections count: once for all thresholds where none is ignored."""
    return (None,) if ignored is None else tuple(~ignored.T)


def _area(found: Counts, detections: Counts, labels: Floats) -> Floats:
    """Return the AP of each resample, float64 [B], of hits and detections [B, P]."""
    if not found.shape[1]:
        return np.zeros(len(found))
    precision = np.divide(
        found, detections, out=np.ones(found.shape), where=detections > 0, dtype=np.float64
    )
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = found / np.maximum(labels, 1)[:, None]
    reached = _TRAPEZES[np.searchsorted(_RECALLS, recall.ravel())].reshape(recall.shape)
    area: Floats = (envelope * np.diff(reached, axis=1, prepend=0.0)).sum(axis=1)
    return area


def _joined(ids: Sequence[Counts]) -> Counts:
    return np.concatenate([np.zeros(0, np.int64), *ids])


def _owners(lengths: Sequence[int]) -> Counts:
    """Return the number of the image that each row is of."""
    return np.repeat(np.arange(len(lengths)), np.array(lengths, np.int64))
