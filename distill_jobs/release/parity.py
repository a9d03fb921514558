"""Whether an exported file answers as the checkpoint does in PyTorch."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distill_jobs.recipe.release import Gate
from distill_jobs.release.agreement import BAND, Agreement, Rule, compare
from distill_jobs.release.evaluate import Quality
from handlers.pipeline import Detections
from handlers.runtimes import Runtime

# FP32: every box this far above its threshold must be there, at the same place.
EXACT = Rule(min_iou=0.99, max_score_difference=0.01, margin=0.05, band=0.05)
FORGIVING = Rule(band=BAND)
STRICT = Rule(band=0.0)
MIN_HELD_OUT_IMAGES = 100
# Raw numbers of FP32: scores, 0 to 1, and box centres and sizes in input pixels.
MAX_RAW_SCORE_DIFFERENCE = 0.01
MAX_RAW_BOX_DIFFERENCE_PX = 1.0


@dataclass(frozen=True)
class Answers:
    """What one runtime answered on the check images.

    Attributes:
        detections: One an image, scores from 0.001.
        quality: Scored against the labels; None where there are none.
    """

    detections: tuple[Detections, ...]
    quality: Quality | None


@dataclass(frozen=True)
class Verdict:
    """What the check found.

    Attributes:
        reason: Why the variant is refused, with figures; "" if it passed.
        matched: F1 with the band.
        strict: F1 without.
    """

    reason: str
    matched: Agreement
    strict: Agreement

    @property
    def passed(self) -> bool:
        """Whether the variant may go into the card."""
        return not self.reason


def judge(
    precision: str,
    reference: Answers,
    answers: Answers,
    thresholds: npt.NDArray[np.float32],
    gate: Gate,
) -> Verdict:
    """Judge a variant by its detections.

    FP32 must repeat every clear box (`EXACT`), in both directions. A reduced precision must reach
    the gate's matched F1 on at least `MIN_HELD_OUT_IMAGES` held-out images and keep its mAP50-95.

    Args:
        precision: "fp32", or a reduced one.
        reference: PyTorch's answers.
        answers: The variant's, on the same images.
        thresholds: float32 [C], operating thresholds.
        gate: The limits.

    Returns:
        The verdict.
    """
    matched = compare(reference.detections, answers.detections, thresholds, FORGIVING)
    strict = compare(reference.detections, answers.detections, thresholds, STRICT)
    if precision == "fp32":
        exact = compare(reference.detections, answers.detections, thresholds, EXACT)
        reason = _exact_fault(exact)
    else:
        reason = _reduced_fault(matched, reference.quality, answers.quality, gate)
    return Verdict(reason, matched, strict)


def raw_fault(reference: Runtime, runtime: Runtime, batch: npt.NDArray[np.float32]) -> str:
    """Compare an FP32 file's raw numbers with PyTorch's, at several batch sizes.

    Holds where the model finds nothing to match, and shows that the batch axis is dynamic.

    Args:
        reference: PyTorch.
        runtime: The exported file.
        batch: float32 [N, 3, H, W], letterboxed images.

    Returns:
        What is wrong, or "".
    """
    expected = reference.run(batch)
    for size in sorted({1, 2, 3, len(batch)} & set(range(1, len(batch) + 1))):
        got = runtime.run(np.ascontiguousarray(batch[:size]))
        if got.shape != expected[:size].shape:
            return f"answers {got.shape} to a batch of {size}, PyTorch {expected[:size].shape}"
        difference = np.abs(got - expected[:size])
        if not np.isfinite(difference).all():
            return f"answers numbers that are not finite to a batch of {size}"
        score, box = float(difference[:, 4:].max()), float(difference[:, :4].max())
        if score > MAX_RAW_SCORE_DIFFERENCE or box > MAX_RAW_BOX_DIFFERENCE_PX:
            return (
                f"differs from PyTorch by {score:.4f} in a score (limit "
                f"{MAX_RAW_SCORE_DIFFERENCE}) and {box:.2f} px in a box (limit "
                f"{MAX_RAW_BOX_DIFFERENCE_PX:g}) at a batch of {size}"
            )
    return ""


def _exact_fault(exact: Agreement) -> str:
    astray = exact.missed + exact.invented
    if not astray:
        return ""
    return (
        f"{astray} of {exact.pairs * 2 + astray} boxes above the threshold + {EXACT.margin} have "
        f"no partner with IoU >= {EXACT.min_iou} and a score within {EXACT.max_score_difference}"
    )


def _reduced_fault(
    matched: Agreement, reference: Quality | None, quality: Quality | None, gate: Gate
) -> str:
    if reference is None or quality is None:
        return "its mAP cannot be measured without labelled images"
    if matched.images < MIN_HELD_OUT_IMAGES:
        return (
            f"{matched.images} held-out images are too few to judge a reduced precision: "
            f"give at least {MIN_HELD_OUT_IMAGES}"
        )
    if matched.f1 < gate.min_matched_f1:
        return f"matched F1 {matched.f1:.4f} is below gate.min_matched_f1 {gate.min_matched_f1:g}"
    drop = reference.map50_95 - quality.map50_95
    if drop > gate.max_int8_drop_map50_95:
        return (
            f"mAP50-95 falls by {100 * drop:.2f} points, more than gate.max_int8_drop_map50_95 "
            f"({100 * gate.max_int8_drop_map50_95:g} points)"
        )
    return ""
