"""The gate's rules on what a student keeps of its teacher on the held-out images."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from distill_jobs.recipe.release import Gate
from distill_jobs.release.average_precision import Counts, Floats
from distill_jobs.release.bootstrap import Precisions, as_they_are
from distill_jobs.release.checks import Check
from distill_jobs.release.evidence import Evidence, Held, Measured, Scores
from distill_jobs.release.figure import Figure, check_of
from distill_jobs.release.operating import Operating


def retention(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check how much of the teacher's mAP is kept."""
    if evidence.student is None or evidence.teacher is None:
        return
    pair = evidence.student.scores, evidence.teacher.scores
    images = _images_with(evidence.student.operating.labels)
    for rule, name, of in (
        ("min_retention_map50", "mAP50", _map50),
        ("min_retention_map50_95", "mAP50-95", _map50_95),
    ):
        figure, detail = _figure(pair, of, images), _detail(pair, of)
        yield check_of(figure, gate, rule=rule, what=f"{name} over the teacher's", detail=detail)


def classes(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check the same of each class's AP50 by itself."""
    student, teacher, held = evidence.student, evidence.teacher, evidence.held
    if student is None or teacher is None or held is None:
        return
    pair, labels = (student.scores, teacher.scores), student.operating.labels
    for class_id, name in enumerate(held.class_names):
        if gate.min_class_retention_map50 is None and not labels[:, class_id].any():
            continue  # of many classes most may be absent; those that are asked for are named
        yield _by_itself(
            ("min_class_retention_map50", "AP50", name),
            pair,
            partial(_ap50, class_id=class_id),
            (int(labels[:, class_id].sum()), _images_with(labels[:, class_id : class_id + 1])),
            gate,
        )


def sizes(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check the same of small, medium and large objects by themselves."""
    student, teacher = evidence.student, evidence.teacher
    if student is None or teacher is None:
        return
    for size, objects in student.objects_by_size.items():
        yield _by_itself(
            ("min_size_retention_map50_95", "mAP50-95", size),
            (student.by_size[size], teacher.by_size[size]),
            _map50_95,
            (objects, student.images_by_size[size]),
            gate,
        )


def recall(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check the recall at the operating thresholds, each model at its own."""
    if evidence.student is None or evidence.teacher is None or evidence.held is None:
        return
    yield _operating(
        "recall",
        (evidence.student, evidence.teacher),
        Operating.recall,
        _images_with(evidence.student.operating.labels),
        (evidence.held, gate),
    )


def precision(evidence: Evidence, gate: Gate) -> Iterator[Check]:
    """Check the precision there: a student that floods the cameras has a fine recall."""
    student, teacher, held = evidence.student, evidence.teacher, evidence.held
    if student is None or teacher is None or held is None:
        return
    images = min(_images_with(one.operating.raised) for one in (student, teacher))
    yield _operating("precision", (student, teacher), Operating.precision, images, (held, gate))


def _operating(
    name: str,
    pair: tuple[Measured, Measured],
    of: Callable[[Operating, Counts], Floats],
    images: int,
    judged: tuple[Held, Gate],
) -> Check:
    held, gate = judged
    whole = as_they_are(held.drawn.shape[1])
    ours, theirs = ((of(m.operating, whole), of(m.operating, held.drawn)) for m in pair)
    return check_of(
        Figure.share(ours, theirs, images),
        gate,
        rule=f"min_{name}_retention",
        what=f"{name} at the operating thresholds over the teacher's",
        detail=_of(ours[0], theirs[0]),
    )


def _by_itself(
    asked: tuple[str, str, str],
    pair: tuple[Scores, Scores],
    of: Callable[[Precisions], Floats],
    stock: tuple[int, int],
    gate: Gate,
) -> Check:
    """Check a class or a size, unless there is too little of it."""
    (rule, name, subject), (objects, images) = asked, stock
    not_judged = ""
    if objects < gate.min_instances:
        none = "" if objects else ", namely none"
        not_judged = f"fewer than {gate.min_instances} objects{none}"
    elif gate.confidence is not None and images < gate.min_images:
        not_judged = f"in {images} images, and a bound needs {gate.min_images}"
    return check_of(
        _figure(pair, of, images),
        gate,
        rule=rule,
        what=f"{name} over the teacher's",
        subject=subject,
        detail=f"{_detail(pair, of)}, {objects} objects in {images} images",
        not_judged=not_judged,
    )


def _figure(pair: tuple[Scores, Scores], of: Callable[[Precisions], Floats], images: int) -> Figure:
    ours, theirs = ((of(one.whole), of(one.drawn)) for one in pair)
    return Figure.share(ours, theirs, images)


def _detail(pair: tuple[Scores, Scores], of: Callable[[Precisions], Floats]) -> str:
    ours, theirs = (of(one.whole) for one in pair)
    return _of(ours, theirs)


def _of(ours: Floats, theirs: Floats) -> str:
    return " of ".join("-" if np.isnan(one[0]) else f"{one[0]:.3f}" for one in (ours, theirs))


def _images_with(counts: Counts) -> int:
    """Return in how many images, of int64 [I, C], anything was counted."""
    return int((counts.sum(axis=1) > 0).sum())


def _map50(precisions: Precisions) -> Floats:
    return precisions.map50


def _map50_95(precisions: Precisions) -> Floats:
    return precisions.map50_95


def _ap50(precisions: Precisions, class_id: int) -> Floats:
    if class_id not in precisions.class_ids:
        return np.full(len(precisions.values), np.nan)
    return precisions.ap50(class_id)
