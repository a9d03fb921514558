"""What both models know of the images they learnt from, and of others."""

from collections.abc import Iterator

from distill_jobs.study.finding import Finding
from distill_jobs.study.symptoms import Symptoms
from distill_jobs.tracking.curves import MAP50_95

_FEWEST_LABELS = 20


def kept(symptoms: Symptoms) -> Iterator[Finding]:
    """Judge how much of the teacher's quality on validation the student has."""
    teacher, student = _map(symptoms, "teacher", "val"), _map(symptoms, "student", "val")
    if teacher is None or student is None or not teacher:
        return
    kept = student / teacher
    yield Finding(
        "student behind its teacher",
        f"keeps {100 * kept:.1f}% of mAP50-95 on val",
        "at least 95%",
        kept < 0.95,
        "the other checks marked `look` say where to begin; where none is, take a larger "
        "student (student.width, student.architecture)",
    )


def teacher_ahead(symptoms: Symptoms) -> Iterator[Finding]:
    """Judge whether the teacher is better than the student at all."""
    teacher, student = _map(symptoms, "teacher", "val"), _map(symptoms, "student", "val")
    if teacher is None or student is None:
        return
    ahead = 100 * (teacher - student)
    yield Finding(
        "teacher has something to teach",
        f"{ahead:+.1f} points of mAP50-95 on val",
        "at least +1",
        ahead < 1,
        "train the teacher longer or take a larger one: a student that is as good learns "
        "nothing from it",
    )


def teacher_overfit(symptoms: Symptoms) -> Iterator[Finding]:
    """Judge whether the teacher knows its training images by heart."""
    train, val = _map(symptoms, "teacher", "train"), _map(symptoms, "teacher", "val")
    if train is None or val is None:
        return
    gap = 100 * (train - val)
    yield Finding(
        "teacher overfit",
        f"train {100 * train:.1f}, val {100 * val:.1f}: {gap:+.1f} points",
        "at most +15",
        gap > 15,
        "its answers on the training images are the labels over again: train it for fewer epochs "
        "(teacher.train.epochs, patience), with more augmentation (mosaic, scale), or give "
        "images that it never saw (data.unlabelled)",
    )


def student_overfit(symptoms: Symptoms) -> Iterator[Finding]:
    """Judge whether the student does."""
    train, val = _map(symptoms, "student", "train"), _map(symptoms, "student", "val")
    if train is None or val is None:
        return
    gap = 100 * (train - val)
    yield Finding(
        "student overfit",
        f"train {100 * train:.1f}, val {100 * val:.1f}: {gap:+.1f} points",
        "at most +15",
        gap > 15,
        "more images (data.unlabelled takes those without labels), more augmentation "
        "(training.mosaic, scale), or fewer epochs (training.patience)",
    )


def unfinished(symptoms: Symptoms) -> Iterator[Finding]:
    """Judge whether validation still rose when the training ended."""
    curves = symptoms.curves
    values = curves.columns.get(MAP50_95, ()) if curves else ()
    if len(values) < 4:
        return
    quarter = max(1, len(values) // 4)
    rise = 100 * (max(values[-quarter:]) - max(values[:-quarter]))
    yield Finding(
        "training ended too early",
        f"{f'last {quarter} epochs' if quarter > 1 else 'last epoch'} gained {rise:+.1f} points",
        "at most +1",
        rise > 1,
        "raise training.epochs: distillation needs longer than plain training",
    )


def classes(symptoms: Symptoms) -> Iterator[Finding]:
    """Judge whether one class keeps far less than the others."""
    teacher = symptoms.quality.get(("teacher", "val"))
    student = symptoms.quality.get(("student", "val"))
    if teacher is None or student is None or not teacher.map50_95:
        return
    own = {one.class_id: one.ap50_95 for one in student.per_class}
    kept = {
        one.name: own.get(one.class_id, 0.0) / one.ap50_95
        for one in teacher.per_class
        if one.objects >= _FEWEST_LABELS and one.ap50_95 > 0
    }
    if len(kept) < 2:
        return
    worst = min(kept, key=lambda name: kept[name])
    behind = 100 * (student.map50_95 / teacher.map50_95 - kept[worst])
    yield Finding(
        "one class lags",
        f"{worst} keeps {100 * kept[worst]:.1f}%, {behind:.1f} points below the mean",
        "at most 10 points",
        behind > 10,
        f"more images of {worst}: labelled ones, or harvested (understudy job redistil)",
    )


def _map(symptoms: Symptoms, role: str, split: str) -> float | None:
    quality = symptoms.quality.get((role, split))
    return quality.map50_95 if quality is not None and quality.objects else None
