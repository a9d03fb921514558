"""Making room for a demo: what the one before left is removed, and nothing else."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from distill_jobs.errors import JobError
from distill_jobs.release import archive
from distill_jobs.release.archived_card import archived_card
from distill_jobs.results import read_model
from distill_jobs.run_folder import RunFolder
from handlers.errors import CardError
from understudy.demo.cast import ARMS


def clear(folder: Path, run_dir: Path, archives: Iterable[Path] = ()) -> None:
    """Remove what the demo before left, and make its folder anew.

    Args:
        folder: Of the demo; its archives go with it.
        run_dir: The job's run in it.
        archives: More archives to remove, with their signatures.

    Raises:
        JobError: The folder holds something else than a demo; nothing was removed.
    """
    if folder.exists() and not _is_demo(folder, run_dir):
        raise JobError(f"--output: {folder} holds something else than a demo; name another folder")
    for one in {*archives, *_released_in(run_dir)}:
        archive.remove(one)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def released_by(job_name: str, model_store: Path) -> list[Path]:
    """Return the archives whose card names a job.

    A demo may be gone, or killed before it noted what it had released.
    """
    return [path for path in sorted(model_store.glob("*.mar")) if _job_of(path) == job_name]


def _is_demo(folder: Path, run_dir: Path) -> bool:
    return folder.is_dir() and ((run_dir / "job.yaml").is_file() or not any(folder.iterdir()))


def _released_in(run_dir: Path) -> list[Path]:
    if not (run_dir / "run.json").is_file():
        return []
    run = RunFolder.open(run_dir)
    models = (read_model(run, role) for role in ARMS)
    return [model.archive for model in models if model is not None and model.archive is not None]


def _job_of(path: Path) -> str:
    try:
        return archived_card(path).inner("lineage").text("job")
    except CardError:
        return ""
