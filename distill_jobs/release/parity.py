"""Whether an exported file answers as the checkpoint does in PyTorch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distill_jobs.recipe.release import Gate
from distill_jobs.release.agreement import (
    BAND,
    Agreement,
    Rule,
    compare,
    compare_each,
    resampled_f1,
    together,
)
from distill_jobs.release.average_precision import classes_present
from distill_jobs.release.bootstrap import REPORTED_CONFIDENCE, Bounded, Precisions, draw
from distill_jobs.release.evaluate import Quality
from distill_jobs.release.matches import ImageMatches
from handlers.pipeline import Detections
from handlers.runtimes import Runtime

# FP32: every box this far above its threshold must be there, at the same place.
EXACT = Rule(min_iou=0.99, max_score_difference=0.01, margin=0.05, band=0.05)
FORGIVING = Rule(band=BAND)
STRICT = Rule(band=0.0)
# Fewer held-out images say too little of a reduced precision to let it serve.
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
        matches: With the labels, one an image; () where there are none.
    """

    detections: tuple[Detections, ...]
    quality: Quality | None
    matches: tuple[ImageMatches, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What the check found.

    Attributes:
        reason: Why the variant is refused, with figures; "" if it passed.
        matched: F1 with the band.
        strict: F1 without.
        f1: The first and its bounds.
        drop: How much mAP50-95 is lost, and its bounds; None where that cannot be measured.
    """

    reason: str
    matched: Agreement
    strict: Agreement
    f1: Bounded
    drop: Bounded | None = None

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
    the gate's matched F1 and keep its mAP50-95.

    Args:
        precision: "fp32", or a reduced one.
        reference: PyTorch's answers.
        answers: The variant's, on the same images.
        thresholds: float32 [C], operating thresholds.
        gate: The limits.

    Returns:
        The verdict.
    """
    both = (thresholds, thresholds)
    each = compare_each(reference.detections, answers.detections, both, FORGIVING)
    drawn = draw(images=len(each), resamples=gate.resamples, seed=0)
    confidence = gate.confidence or REPORTED_CONFIDENCE
    matched = together(each)
    f1 = Bounded.of(matched.f1, resampled_f1(each, drawn), confidence)
    strict = compare(reference.detections, answers.detections, thresholds, STRICT)
    if precision == "fp32":
        exact = compare(reference.detections, answers.detections, thresholds, EXACT)
        return Verdict(_exact_fault(exact), matched, strict, f1)
    drop = _drop(reference, answers, drawn, confidence)
    return Verdict(_reduced_fault(f1, drop, gate), matched, strict, f1, drop)


def _drop(
    reference: Answers, answers: Answers, drawn: npt.NDArray[np.int64], confidence: float
) -> Bounded | None:
    """Bound the mAP50-95 that is lost: the same resamples for both (paired)."""
    if reference.quality is None or answers.quality is None or not reference.quality.objects:
        return None
    lost = reference.quality.map50_95 - answers.quality.map50_95
    if not (reference.matches and answers.matches):
        return Bounded.exact(lost)
    present = classes_present(reference.matches)
    before, after = (
        Precisions.of(one.matches, present, drawn).map50_95 for one in (reference, answers)
    )
    return Bounded.of(lost, before - after, confidence)


def raw_fault(
    reference: Runtime, runtime: Runtime, batch: npt.NDArray[np.float32], stride: int = 0
) -> str:
    """Compare an FP32 file's raw numbers with PyTorch's, at several batch sizes and shapes.

    Holds where the model finds nothing to match, and shows which axes are dynamic.

    Args:
        reference: PyTorch.
        runtime: The exported file.
        batch: float32 [N, 3, H, W], letterboxed images.
        stride: Of the card's input; cut-outs of the images are tried where it is not 0.

    Returns:
        What is wrong, or "".
    """
    sizes = sorted({1, 2, 3, len(batch)} & set(range(1, len(batch) + 1)))
    for images in [*(batch[:size] for size in sizes), *_rectangles(batch[:2], stride)]:
        fault = _raw_fault(reference, runtime, np.ascontiguousarray(images))
        if fault:
            return fault
    return ""


def _rectangles(batch: npt.NDArray[np.float32], stride: int) -> Iterator[npt.NDArray[np.float32]]:
    """Cut a wide and a high rectangle out of a batch, where there is one inside."""
    height, width = batch.shape[2:]
    if stride and height > stride:
        yield batch[:, :, : height // stride // 2 * stride]
    if stride and width > stride:
        yield batch[:, :, :, : width // stride // 2 * stride]


def _raw_fault(reference: Runtime, runtime: Runtime, images: npt.NDArray[np.float32]) -> str:
    count, _, height, width = images.shape
    what = f"a batch of {count} at {width}x{height}"
    expected, got = reference.run(images), runtime.run(images)
    if got.shape != expected.shape:
        return f"answers {got.shape} to {what}, PyTorch {expected.shape}"
    difference = np.abs(got - expected)
    if not np.isfinite(difference).all():
        return f"answers numbers that are not finite to {what}"
    score, box = float(difference[:, 4:].max()), float(difference[:, :4].max())
    if score > MAX_RAW_SCORE_DIFFERENCE or box > MAX_RAW_BOX_DIFFERENCE_PX:
        return (
            f"differs from PyTorch by {score:.4f} in a score (limit {MAX_RAW_SCORE_DIFFERENCE}) "
            f"and {box:.2f} px in a box (limit {MAX_RAW_BOX_DIFFERENCE_PX:g}) at {what}"
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


def _reduced_fault(f1: Bounded, drop: Bounded | None, gate: Gate) -> str:
    if drop is None:
        return "its mAP cannot be measured without labelled images"
    sure = gate.confidence is not None
    bound = f" with {100 * gate.confidence:g}% confidence" if gate.confidence else ""
    lowest_f1, highest_drop = (f1.low, drop.high) if sure else (f1.value, drop.value)
    # Not the other way round: what cannot be bounded is no better than its limit.
    if not lowest_f1 >= gate.min_matched_f1:
        return (
            f"matched F1 {lowest_f1:.4f}{bound} is below gate.min_matched_f1 "
            f"{gate.min_matched_f1:g}"
        )
    if not highest_drop <= gate.max_int8_drop_map50_95:
        return (
            f"mAP50-95 falls by {100 * highest_drop:.2f} points{bound}, more than "
            f"gate.max_int8_drop_map50_95 ({100 * gate.max_int8_drop_map50_95:g} points)"
        )
    return ""
