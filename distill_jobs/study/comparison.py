"""Several runs beside each other: figures, settings, curves, paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_jobs.errors import JobError
from distill_jobs.progress import Reporter
from distill_jobs.results import ModelResult, read_model, validated
from distill_jobs.run_folder import RunFolder
from distill_jobs.study.differences import Difference, differences
from distill_jobs.tracking.curves import MAP50_95, Curves, read_curves
from distill_jobs.tracking.tracking import flat

_MOST_RUNS = 6  # as many colours as a page has
# Of a job: names, what is released, what judges it and what a sweep would try make no student.
_NOT_SETTINGS = ("name", "version", "licences", "archive", "exports", "gate", "sweep")


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs.

    Attributes:
        folder: Its folder.
        name: Of the folder; with what lies above where two are called the same.
        teacher: As far as known.
        student: Likewise.
        curves: Of the student's training.
    """

    folder: RunFolder
    name: str
    teacher: ModelResult | None
    student: ModelResult | None
    curves: Curves | None

    def cells(self) -> tuple[str, ...]:
        """Return parameters, mAP50, mAP50-95, share kept, best on validation, and latency."""
        student, teacher = self.student, self.teacher
        best = self.curves.best(MAP50_95) if self.curves else None
        validation = validated(self.folder, "student")
        kept = None
        if student and student.map50_95 is not None and teacher and teacher.map50_95:
            kept = student.map50_95 / teacher.map50_95
        fastest = min((one.p50_ms for one in student.variants), default=None) if student else None
        return (
            f"{student.parameters:,}" if student else "-",
            _share(student.map50 if student else None),
            _share(student.map50_95 if student else None),
            f"{100 * kept:.1f}%" if kept is not None else "-",
            f"{validation.map50_95 if validation else best[1]:.3f} @{best[0]}" if best else "-",
            f"{fastest:.1f}" if fastest is not None else "-",
        )


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Attributes:
        runs: The runs, the first is compared to.
        settings: Each key of the job files in which they differ, and each run's value.
        differences: Paired, one for each run after the first; empty where not asked for.
        split: What those were measured on.
    """

    runs: tuple[ComparedRun, ...]
    settings: dict[str, tuple[str, ...]]
    differences: tuple[Difference, ...]
    split: str


def compare_runs(paths: Sequence[Path], split: str | None, reporter: Reporter) -> Comparison:
    """Compare runs.

    Args:
        paths: Run folders, two to six.
        split: For the paired comparison; None leaves it out.
        reporter: Told of progress.

    Raises:
        JobError: Too few or too many runs, or they cannot be compared.
    """
    if not 2 <= len(paths) <= _MOST_RUNS:
        raise JobError(f"compare takes 2 to {_MOST_RUNS} runs, not {len(paths)}")
    if len(set(paths)) < len(paths):
        raise JobError("compare: one of the runs is given twice")
    folders = [RunFolder.open(path) for path in paths]
    names = _names(paths)
    runs = tuple(
        ComparedRun(
            folder,
            name,
            read_model(folder, "teacher"),
            read_model(folder, "student"),
            read_curves(folder.training("student")),
        )
        for folder, name in zip(folders, names, strict=True)
    )
    found: list[Difference] = []
    if split is not None:
        found = differences(list(zip(names, folders, strict=True)), split, reporter)
    return Comparison(runs, _settings(folders), tuple(found), split or "")


def _names(paths: Sequence[Path]) -> list[str]:
    """Name runs by their folders, with the folder above where that is not enough."""
    depth = 1
    while len({path.parts[-depth:] for path in paths}) < len(paths):
        depth += 1
    return ["/".join(path.parts[-depth:]) for path in paths]


def _settings(folders: Sequence[RunFolder]) -> dict[str, tuple[str, ...]]:
    """Return what differs, by dotted key; of a section that some lack, what is not its default."""
    jobs = [folder.job() for folder in folders]
    whole = [flat(job.model_dump(mode="json", by_alias=True)) for job in jobs]
    told = [job.model_dump(mode="json", by_alias=True, exclude_defaults=True) for job in jobs]
    keys = dict.fromkeys(key for job in told for key in (*job, *flat(job)))
    found: dict[str, tuple[str, ...]] = {}
    for key in keys:
        values = tuple(_setting(job, key) for job in whole)
        if len(set(values)) > 1 and key.partition(".")[0] not in _NOT_SETTINGS:
            found[key] = values
    return found


def _setting(job: Mapping[str, Any], key: str) -> str:
    """Write a value of a flat job; of a section only that it is there."""
    if any(one.startswith(f"{key}.") for one in job):
        return "given"
    value = job.get(key)
    return "-" if value is None else str(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
