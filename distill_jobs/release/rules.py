"""The gate's rules: each yields the checks that apply to what was measured."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from distill_jobs.recipe.release import Gate
from distill_jobs.release.average_precision import Floats
from distill_jobs.release.bootstrap import (
    REPORTED_CONFIDENCE,
    Bounded,
    Precisions,
    as_they_are,
    draw,
)
from distill_jobs.release.checks import Check, Unit
from distill_jobs.release.evidence import Evidence, Scores


def retention(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check how much of the teacher's mAP is kept."""
    if evidence.student is None or evidence.teacher is None:
        return
    ours, theirs = evidence.student.scores, evidence.teacher.scores
    for rule, name, limit, of in (
        ("min_retention_map50", "mAP50", gate.min_retention_map50, _map50),
        ("min_retention_map50_95", "mAP50-95", gate.min_retention_map50_95, _map50_95),
    ):
        yield _kept(rule, name, (ours, theirs), of, gate, limit=limit)


def classes(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check the same of each class's AP50 by itself."""
    if evidence.student is None or evidence.teacher is None or evidence.held is None:
        return
    ours, theirs = evidence.student.scores, evidence.teacher.scores
    labels = evidence.student.operating.labels.sum(axis=0)
    for class_id in ours.whole.class_ids:
        yield _kept(
            "min_class_retention_map50",
            "AP50",
            (ours, theirs),
            partial(Precisions.ap50, class_id=class_id),
            gate,
            limit=gate.min_class_retention_map50,
            subject=evidence.held.class_names[class_id],
            instances=int(labels[class_id]),
        )


def sizes(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check the same of small, medium and large objects by themselves."""
    if evidence.student is None or evidence.teacher is None:
        return
    for size, objects in evidence.student.objects_by_size.items():
        yield _kept(
            "min_size_retention_map50_95",
            "mAP50-95",
            (evidence.student.by_size[size], evidence.teacher.by_size[size]),
            _map50_95,
            gate,
            limit=gate.min_size_retention_map50_95,
            subject=size,
            instances=objects,
        )


def recall(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check the recall at the operating thresholds, each model at its own."""
    if evidence.student is None or evidence.teacher is None or evidence.held is None:
        return
    ours, theirs = evidence.student.operating, evidence.teacher.operating
    whole, drawn = as_they_are(evidence.held.drawn.shape[1]), evidence.held.drawn
    now = float(ours.recall(whole)[0]), float(theirs.recall(whole)[0])
    yield _limited(
        "min_recall_retention",
        "recall at the operating thresholds over the teacher's",
        _bounded(
            _share(np.array([now[0]]), np.array([now[1]])),
            _share(ours.recall(drawn), theirs.recall(drawn)),
            gate,
        ),
        gate,
        limit=gate.min_recall_retention,
        detail=f"{now[0]:.3f} of {now[1]:.3f}",
    )


def live(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check that the model that serves now is not much better."""
    if evidence.student is not None and evidence.live is not None:
        ours, theirs = evidence.student.scores, evidence.live.scores
        lost = theirs.whole.map50_95 - ours.whole.map50_95
        yield _limited(
            "max_live_drop_map50_95",
            "mAP50-95 below the live model's",
            _bounded(lost, theirs.drawn.map50_95 - ours.drawn.map50_95, gate),
            gate,
            limit=gate.max_live_drop_map50_95,
            unit="points",
            detail=f"{ours.whole.map50_95[0]:.3f}, live {theirs.whole.map50_95[0]:.3f}",
        )
    if evidence.student is None and evidence.accord is not None and evidence.live_accord:
        ours_f1, theirs_f1 = evidence.accord, evidence.live_accord
        yield _limited(
            "max_live_drop_f1",
            "agreement with the teacher (F1) below the live model's",
            _bounded(
                np.array([theirs_f1.value - ours_f1.value]), theirs_f1.drawn - ours_f1.drawn, gate
            ),
            gate,
            limit=gate.max_live_drop_f1,
            unit="points",
            detail=f"{ours_f1.value:.3f}, live {theirs_f1.value:.3f}",
        )


def agreement(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check the agreement with the teacher on unlabelled frames, by its lower bound."""
    if evidence.accord is None:
        return
    confidence = gate.confidence or REPORTED_CONFIDENCE
    yield Check(
        rule="min_agreement_f1",
        subject="",
        what="F1 of the agreement with the teacher on unlabelled frames",
        measured=Bounded.of(evidence.accord.value, evidence.accord.drawn, confidence),
        limit=gate.min_agreement_f1,
        # Without labels nothing else stands between a bad student and the cameras.
        confidence=confidence,
        detail=f"{evidence.accord.images} frames",
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
    yield _limited(
        "max_latency_ratio",
        "time for one image over the teacher's, default variants",
        _bounded(np.array([np.median(ratios)]), medians, gate),
        gate,
        limit=gate.max_latency_ratio,
        unit="times",
        detail=f"median of {len(ratios)} turns",
    )


RULES: tuple[Callable[[Evidence, Gate], Iterator[Check]], ...] = (
    retention,
    classes,
    sizes,
    recall,
    live,
    agreement,
    weight,
    latency,
)


def _kept(
    rule: str,
    name: str,
    pair: tuple[Scores, Scores],
    of: Callable[[Precisions], Floats],
    gate: Gate,
    *,
    limit: float | None,
    subject: str = "",
    instances: int | None = None,
) -> Check:
    """Check how much of a teacher's figure its student keeps."""
    ours, theirs = pair
    now = of(ours.whole), of(theirs.whole)
    too_few = instances is not None and instances < gate.min_instances
    counted = "" if instances is None else f", {instances} objects"
    return _limited(
        rule,
        f"{name} over the teacher's",
        None
        if instances == 0
        else _bounded(_share(*now), _share(of(ours.drawn), of(theirs.drawn)), gate),
        gate,
        limit=limit,
        subject=subject,
        detail=f"{now[0][0]:.3f} of {now[1][0]:.3f}{counted}",
        not_judged=f"fewer than {gate.min_instances} objects" if too_few else "",
    )


def _limited(
    rule: str,
    what: str,
    measured: Bounded | None,
    gate: Gate,
    *,
    limit: float | None,
    subject: str = "",
    unit: Unit = "%",
    detail: str,
    not_judged: str = "",
) -> Check:
    return Check(
        rule=rule,
        subject=subject,
        what=what,
        measured=measured,
        limit=limit,
        unit=unit,
        confidence=gate.confidence,
        detail=detail,
        not_judged=not_judged,
    )


def _bounded(now: Floats, drawn: Floats, gate: Gate) -> Bounded:
    return Bounded.of(float(now[0]), drawn, gate.confidence or REPORTED_CONFIDENCE)


def _share(part: Floats, whole: Floats) -> Floats:
    """Divide; of a teacher that finds nothing, a student keeps all."""
    share: Floats = np.divide(part, whole, out=np.ones_like(part), where=whole != 0)
    return share


def _map50(precisions: Precisions) -> Floats:
    return precisions.map50


def _map50_95(precisions: Precisions) -> Floats:
    return precisions.map50_95
