"""Which plots a release's report shows."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from distill_jobs.release.average_precision import Floats
from distill_jobs.release.bootstrap import Bounded, Precisions
from distill_jobs.release.evidence import Measured, Scores
from distill_jobs.release.figure import Figure
from distill_jobs.release.plots import Bar, plot_bars, plot_reliability
from distill_jobs.release.told import Told
from distill_jobs.tracking.page import PagePicture, embedded

RELIABILITY, CLASSES, SIZES = "reliability.png", "classes.png", "sizes.png"
_MAX_BARS = 24


def draw_plots(told: Told, folder: Path) -> dict[str, PagePicture]:
    """Draw what there is to draw.

    Args:
        told: The release.
        folder: Gets the PNG files.

    Returns:
        The plots by file name.
    """
    found = told.findings
    student, teacher = found.evidence.student, found.evidence.teacher
    names = (told.request.key, told.request.teacher.name if told.request.teacher else "teacher")
    captions = {}
    if found.calibration is not None:
        plot_reliability(
            found.calibration, found.teacher_calibration, folder / RELIABILITY, names=names
        )
        captions[RELIABILITY] = (
            "Precision over score on the held-out images; below the diagonal a detector is too "
            "sure of itself."
        )
    for file, title, bars in (
        (CLASSES, "AP50-95 by class", _class_bars(told, student, teacher)),
        (SIZES, "AP50-95 by object size", _size_bars(told, student, teacher)),
    ):
        if bars:
            plot_bars(bars[:_MAX_BARS], folder / file, title=title, names=names)
            captions[file] = f"{title}, with {told.bounds_text}."
    return {file: embedded(folder / file, caption) for file, caption in captions.items()}


def _class_bars(told: Told, student: Measured | None, teacher: Measured | None) -> list[Bar]:
    held = told.findings.evidence.held
    if student is None or held is None:
        return []
    theirs = teacher.scores if teacher else None
    return [
        _bar(
            told,
            held.class_names[class_id],
            (student.scores, theirs),
            partial(Precisions.ap50_95, class_id=class_id),
            int((student.operating.labels[:, class_id] > 0).sum()),
        )
        for class_id in student.scores.whole.class_ids
    ]


def _size_bars(told: Told, student: Measured | None, teacher: Measured | None) -> list[Bar]:
    if student is None:
        return []
    return [
        _bar(
            told,
            size,
            (student.by_size[size], teacher.by_size[size] if teacher else None),
            lambda precisions: precisions.map50_95,
            student.images_by_size[size],
        )
        for size, objects in student.objects_by_size.items()
        if objects
    ]


def _bar(
    told: Told,
    name: str,
    pair: tuple[Scores, Scores | None],
    of: Callable[[Precisions], Floats],
    images: int,
) -> Bar:
    ours, theirs = (
        Figure(float(of(one.whole)[0]), of(one.drawn), images).bounded(told.request.gate)
        if one
        else None
        for one in pair
    )
    return Bar(name, ours or Bounded.exact(0.0), theirs)
