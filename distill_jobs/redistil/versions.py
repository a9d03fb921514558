"""The next free version of a job's archives."""

from pathlib import Path

from distill_jobs.job import Job


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
