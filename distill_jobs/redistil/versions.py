"""Which versions of a job's archives there are, and the next free one."""

import re
from collections.abc import Sequence
from pathlib import Path

from distill_jobs.job import Job
from distill_jobs.release.archived_card import archived_card
from handlers.errors import CardError


def next_version(job: Job, model_store: Path) -> str:
    """Return the first version after the job's own that the model store has of neither model.

    The second part counts up: 1.0 becomes 1.1, 1.4.2 becomes 1.5.0. Archives are immutable, so a
    version that is taken, by whatever job, is passed over.
    """
    parts = [int(part) for part in job.version.split(".")]
    names = (job.archive.teacher_name, job.archive.student_name) if job.archive else ()
    while True:
        parts = [parts[0], parts[1] + 1, *(0 for _ in parts[2:])]
        version = ".".join(map(str, parts))
        if not any((model_store / f"{name}-{version}.mar").exists() for name in names):
            return version


def newest_student(job: Job, model_store: Path, class_names: Sequence[str]) -> Path | None:
    """Return the student's archive of the highest version; None where there is none.

    The model store holds what passed a gate, so that is what serves, or what will. One of other
    classes cannot be compared with. Whether it was signed is the gate's to find out, which fails
    where it was not: another taken in its stead would be a lower bar.
    """
    if job.archive is None:
        return None
    own = re.compile(re.escape(job.archive.student_name) + r"-([0-9]+(?:\.[0-9]+)*)\.mar")
    found = [
        ([int(part) for part in match[1].split(".")], file)
        for file in model_store.glob("*.mar")
        if (match := own.fullmatch(file.name))
    ]
    for _, file in sorted(found, reverse=True):
        if _class_names(file) == tuple(class_names):
            return file
    return None


def _class_names(archive: Path) -> tuple[str, ...] | None:
    try:
        return archived_card(archive).texts("class_names")
    except CardError:
        return None
