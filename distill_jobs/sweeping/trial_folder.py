"""A trial's run folder: its own student, the sweep's data, teacher, teachers' answers and cut."""

import os
import shutil
from pathlib import Path

import yaml

from distill_jobs.data.staging import UNLABELLED_LIST
from distill_jobs.files import write_atomically
from distill_jobs.run_folder import RunFolder

_SHARED = ("data.lock", "teacher.pt", "student-cut.pt", "teacher-answers")
_TRAINED_ON = ("train", "val")
_STEPS_DONE = ("data", "teacher", "prune")


def open_trial(sweep: RunFolder, name: str, job_file: Path) -> RunFolder:
    """Make a trial's run folder, or find it again after a kill.

    Teachers' answers are kept by teacher, image and class map, so that trials may share them.

    Args:
        sweep: The sweep's own run folder, whose data and teacher steps are done, and the student's
            cut where it is the same for all.
        name: Of the trial: "0003".
        job_file: The trial's job.

    Returns:
        A run folder in which only the student is missing.
    """
    path = trials_of(sweep) / name
    if (path / "run.json").exists():
        return RunFolder.open(path)
    shutil.rmtree(path, ignore_errors=True)  # killed before its run.json
    path.parent.mkdir(exist_ok=True)
    making = path.with_name(f".{name}.making")
    shutil.rmtree(making, ignore_errors=True)
    RunFolder.create(making, job_file, {"kind": "trial"})
    (sweep.path / "teacher-answers").mkdir(exist_ok=True)
    for shared in (name for name in _SHARED if (sweep.path / name).exists()):
        (making / shared).symlink_to(os.path.relpath(sweep.path / shared, path))
    _share_data(sweep, making, path)
    (making / "steps").mkdir()
    for step in (name for name in _STEPS_DONE if sweep.figures(name) is not None):
        shutil.copyfile(sweep.path / "steps" / f"{step}.json", making / "steps" / f"{step}.json")
    making.rename(path)
    return RunFolder(path)


def _share_data(sweep: RunFolder, making: Path, path: Path) -> None:
    """Give a trial the sweep's train and val splits, and no test split at all."""
    content = yaml.safe_load((sweep.data / "data.yaml").read_text(encoding="utf-8"))
    content.pop("test", None)
    parts = [f"{kind}/{split}" for kind in ("images", "labels") for split in _TRAINED_ON]
    parts += [name for name in (UNLABELLED_LIST,) if (sweep.data / name).exists()]
    for part in parts:
        (making / "data" / part).parent.mkdir(parents=True, exist_ok=True)
        target = os.path.relpath(sweep.data / part, (path / "data" / part).parent)
        (making / "data" / part).symlink_to(target)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    write_atomically(making / "data" / "data.yaml", text.encode())


def trials_of(sweep: RunFolder) -> Path:
    """Return where a sweep keeps its trials."""
    return sweep.path / "trials"
