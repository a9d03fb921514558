"""The gate's rules: each yields the checks that apply to what was measured."""

from collections.abc import Callable, Iterator

import numpy as np

from distill_jobs.recipe.release import Gate
from distill_jobs.release.bootstrap import REPORTED_CONFIDENCE, Bounded, draw
from distill_jobs.release.checks import Check
from distill_jobs.release.evidence import Accord, Evidence
from distill_jobs.release.figure import Figure, check_of
from distill_jobs.release.retention import classes, precision, recall, retention, sizes


def live(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check that the model that serves now is not much better."""
    if evidence.student is None or evidence.live is None:
        return
    ours, theirs = (
        (one.scores.whole.map50_95, one.scores.drawn.map50_95)
        for one in (evidence.student, evidence.live)
    )
    images = int((evidence.student.operating.labels.sum(axis=1) > 0).sum())
    yield check_of(
        Figure.drop(ours, theirs, images),
        gate,
        rule="max_live_drop_map50_95",
        what="mAP50-95 below the live model's",
        unit="points",
        detail=f"{ours[0][0]:.3f}, live {theirs[0][0]:.3f}",
    )


def live_accord(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check the same of the agreement with the teacher, where there are no labels or it is asked.

    Where there are labels they say which of the two is better, and the agreement does not.
    """
    asked = evidence.student is None or "max_live_drop_f1" in gate.model_fields_set
    if not asked or evidence.accord is None or evidence.live_accord is None:
        return
    ours, theirs = (
        (np.array([one.value]), one.drawn) for one in (evidence.accord, evidence.live_accord)
    )
    yield check_of(
        Figure.drop(ours, theirs, evidence.accord.with_boxes),
        gate,
        rule="max_live_drop_f1",
        what="agreement with the teacher (F1) below the live model's",
        unit="points",
        detail=f"{ours[0][0]:.3f}, live {theirs[0][0]:.3f}",
    )


def agreement(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check the agreement with the teacher on unlabelled frames, by its lower bound."""
    accord = evidence.accord
    if accord is None:
        return
    confidence = gate.confidence or REPORTED_CONFIDENCE
    figure = Figure(accord.value, accord.drawn, accord.with_boxes)
    # Without labels nothing else stands between a bad student and the cameras: the bound decides.
    sure = gate.model_copy(update={"confidence": confidence})
    too_few = _too_few(accord, gate)
    yield Check(
        rule="min_agreement_f1",
        subject="",
        what="F1 of the agreement with the teacher on unlabelled frames",
        measured=Bounded.unsure(accord.value) if too_few else figure.bounded(sure),
        limit=gate.min_agreement_f1,
        confidence=confidence,
        detail=f"{accord.images} frames, {accord.teacher_boxes} boxes of the teacher",
        missing=too_few or figure.lacks(sure),
    )


def weight(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check the default variant's bytes."""
    if evidence.file_bytes is None:
        return
    limit_bytes = None if gate.max_file_mb is None else 1e6 * gate.max_file_mb
    size = Bounded.exact(float(evidence.file_bytes))
    yield Check("max_file_mb", "", "the default variant's file", size, limit_bytes, "MB")
    if evidence.teacher_file_bytes:
        ratio = evidence.file_bytes / evidence.teacher_file_bytes
        yield Check(
            "max_size_ratio",
            "",
            "the default variant's bytes over the teacher's",
            Bounded.exact(ratio),
            gate.max_size_ratio,
            "times",
            detail=f"{evidence.file_bytes:,} of {evidence.teacher_file_bytes:,}",
        )


def latency(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check the default variant's time against the teacher's."""
    ratios = evidence.latency_ratios
    if not ratios.size:
        return
    rounds = draw(images=len(ratios), resamples=gate.resamples, seed=0)
    medians = np.array([np.median(np.repeat(ratios, times)) for times in rounds])
    yield check_of(
        Figure(float(np.median(ratios)), medians, len(ratios)),
        # Turns are no images: however many of those a bound needs, these are what there is.
        gate.model_copy(update={"min_images": 1}),
        rule="max_latency_ratio",
        what="time for one image over the teacher's, default variants",
        unit="times",
        detail=f"median of {len(ratios)} turns",
    )


RULES: tuple[Callable[[Evidence, Gate], Iterator[Check]], ...] = (
    retention,
    classes,
    sizes,
    recall,
    precision,
    live,
    live_accord,
    agreement,
    weight,
    latency,
)


def _too_few(accord: Accord, gate: Gate) -> str:
    for count, least, what, name in (
        (accord.images, gate.min_frames, "frames", "min_frames"),
        (accord.teacher_boxes, gate.min_frame_boxes, "boxes of the teacher", "min_frame_boxes"),
    ):
        if count < least:
            return f"it needs {least} {what} (gate.{name}), not {count}"
    return ""
