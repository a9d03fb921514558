"""How two runs of one detector on the same images agree, detection by detection.

A box right at a class's operating threshold is in one answer and out of the other although nothing
is wrong: rounding by a hundredth of a score decides. So F1 is counted with a band. A box counts
once it reaches the threshold, on either side; its partner may lie up to `BAND` below, but not below
half of the threshold: at a low one the band would forgive a detector that falls silent. Without a
partner it is a miss or an invention, as always. The strict F1 has no band, and is reported too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distill_jobs.release.overlap import iou_matrix, pair_up
from handlers.pipeline import Detections

Scores = npt.NDArray[np.float64]

BAND = 0.05
# What counts as the same object when asking whether two answers show the same things.
SAME_OBJECT_IOU = 0.5


@dataclass(frozen=True)
class Agreement:
    """How answers agree with the reference's, over all images.

    Attributes:
        images: How many images.
        pairs: Boxes that belong together, at least one of them at its threshold.
        missed: Boxes of the reference without a partner.
        invented: Boxes of the answers without a partner.
        min_iou: Lowest IoU of a pair; 1 without pairs.
        max_score_difference: Largest difference of a pair's scores; 0 without pairs.
    """

    images: int
    pairs: int
    missed: int
    invented: int
    min_iou: float
    max_score_difference: float

    @property
    def f1(self) -> float:
        """2 pairs / (boxes here + boxes there), 0 to 1; 1 where neither has a box."""
        boxes = 2 * self.pairs + self.missed + self.invented
        return 2 * self.pairs / boxes if boxes else 1.0


@dataclass(frozen=True)
class Rule:
    """When two boxes of one class belong together.

    Attributes:
        min_iou: They overlap by at least this.
        max_score_difference: Their scores differ by at most this.
        margin: A box counts from its class's threshold plus this.
        band: Partners are looked for from that level minus this, or from half of it if higher.
    """

    min_iou: float = SAME_OBJECT_IOU
    max_score_difference: float = 1.0
    margin: float = 0.0
    band: float = BAND


def compare(
    reference: Sequence[Detections],
    answers: Sequence[Detections],
    thresholds: npt.NDArray[np.float32],
    rule: Rule,
) -> Agreement:
    """Compare answers with the reference's, image by image.

    Args:
        reference: One an image.
        answers: On the same images, in the same order.
        thresholds: float32 [C], operating thresholds.
        rule: What belongs together.

    Returns:
        The sum over the images.
    """
    return together(compare_each(reference, answers, (thresholds, thresholds), rule))


def compare_each(
    reference: Sequence[Detections],
    answers: Sequence[Detections],
    thresholds: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    rule: Rule,
) -> tuple[Agreement, ...]:
    """Compare answers with the reference's; what a bootstrap over images resamples.

    Args:
        reference: One an image.
        answers: On the same images, in the same order.
        thresholds: float32 [C] twice: operating thresholds of the reference, and of the answers.
        rule: What belongs together.

    Returns:
        One an image.
    """
    return tuple(
        _compare_one(one, other, thresholds, rule)
        for one, other in zip(reference, answers, strict=True)
    )


def together(images: Sequence[Agreement]) -> Agreement:
    """Return the sum over images."""
    return Agreement(
        len(images),
        sum(image.pairs for image in images),
        sum(image.missed for image in images),
        sum(image.invented for image in images),
        min((image.min_iou for image in images), default=1.0),
        max((image.max_score_difference for image in images), default=0.0),
    )


def resampled_f1(images: Sequence[Agreement], counts: npt.NDArray[np.int64]) -> Scores:
    """Reckon the F1 over weighted images.

    Args:
        images: I of them.
        counts: int64 [B, I]: how often each image is drawn.

    Returns:
        float64 [B], 0 to 1; 1 where no drawn image has a box.
    """
    paired = counts @ np.array([2 * one.pairs for one in images], np.int64)
    boxes = paired + counts @ np.array([one.missed + one.invented for one in images], np.int64)
    f1: Scores = np.divide(paired, boxes, out=np.ones(len(counts)), where=boxes > 0)
    return f1


def _compare_one(
    reference: Detections,
    answer: Detections,
    thresholds: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    rule: Rule,
) -> Agreement:
    here, here_counts = _eligible(reference, thresholds[0], rule)
    there, there_counts = _eligible(answer, thresholds[1], rule)
    overlaps = iou_matrix(reference.boxes_xyxy_px[here], answer.boxes_xyxy_px[there])
    differences = np.abs(
        reference.scores[here].astype(np.float64)[:, None] - answer.scores[there][None, :]
    )
    alike = reference.class_ids[here][:, None] == answer.class_ids[there][None, :]
    alike &= differences <= rule.max_score_difference
    rows, columns = pair_up(np.where(alike, overlaps, 0).astype(np.float32), rule.min_iou)
    counted = here_counts[rows] | there_counts[columns]
    rows, columns = rows[counted], columns[counted]
    here_counts[rows], there_counts[columns] = False, False
    return Agreement(
        1,
        len(rows),
        int(here_counts.sum()),
        int(there_counts.sum()),
        float(overlaps[rows, columns].min(initial=1.0)),
        float(differences[rows, columns].max(initial=0.0)),
    )


def _eligible(
    answer: Detections, thresholds: npt.NDArray[np.float32], rule: Rule
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return which boxes may be partners, and which of those count by themselves."""
    level = thresholds[answer.class_ids] + rule.margin
    places = np.flatnonzero(answer.scores >= np.maximum(level - rule.band, level / 2))
    return places, answer.scores[places] >= level[places]
