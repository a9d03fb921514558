"""A run's folder: the job as it was, what is done, and where everything lies."""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from distill_jobs.errors import RunFolderInvalid
from distill_jobs.files import write_atomically, write_json
from distill_jobs.job import Job

STEPS = ("data", "teacher", "student", "release-teacher", "release-student")


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its things.

    Attributes:
        path: The folder.
    """

    path: Path

    @classmethod
    def create(cls, path: Path, job_file: Path, places: dict[str, str]) -> "RunFolder":
        """Make a folder for a new run.

        Args:
            path: Must not exist, or be empty but for what a kill while it was made left.
            job_file: Copied into it.
            places: What the job file does not say: model store and signing key.

        Raises:
            RunFolderInvalid: The folder holds something already.
        """
        if path.exists() and not _is_free(path, job_file):
            what = "a run already" if (path / "run.json").exists() else "something else already"
            remedy = (
                f"go on with `understudy job resume {path}`, or "
                if (path / "run.json").exists()
                else ""
            )
            raise RunFolderInvalid(path, f"holds {what}: {remedy}give another --run-dir")
        folder = cls(path)
        write_atomically(folder.job_file, job_file.read_bytes())
        base = str(job_file.resolve().parent)
        began = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(path / "run.json", {"job_base": base, "began": began, **places})
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Find a run that was begun earlier.

        Raises:
            RunFolderInvalid: There is none.
        """
        if not (path / "run.json").is_file():
            raise RunFolderInvalid(path, "holds no run: begin one with `understudy job run`")
        return cls(path)

    @property
    def kind(self) -> str:
        """What it is: "run", "sweep", or "trial" of a sweep."""
        return str(self._facts().get("kind", "run"))

    @property
    def job_file(self) -> Path:
        """The job as it was when the run began."""
        return self.path / "job.yaml"

    @property
    def data(self) -> Path:
        """The working copy of the data set."""
        return self.path / "data"

    @property
    def data_lock(self) -> Path:
        """What the data was."""
        return self.path / "data.lock"

    @property
    def log(self) -> Path:
        """What ultralytics says."""
        return self.path / "run.log"

    @property
    def failure(self) -> Path:
        """Why the run was refused or failed, in words; absent where it did neither."""
        return self.path / "failure.txt"

    def checkpoint(self, role: str) -> Path:
        """Return where the finished "teacher" or "student" lies."""
        return self.path / f"{role}.pt"

    def training(self, role: str) -> Path:
        """Return the folder of a training's own files."""
        return self.path / "training" / role

    def job(self) -> Job:
        """Read the job as it was when the run began."""
        return Job.load(self.job_file, base=Path(self.place("job_base")))

    def place(self, name: str) -> str:
        """Return what `run.json` says of "job_base", "model_store", "signing_key" or "began"."""
        return str(self._facts()[name])

    def figures(self, step: str) -> dict[str, Any] | None:
        """Return what a finished step left, or None when it is not finished."""
        marker = self._marker(step)
        if not marker.exists():
            return None
        figures: dict[str, Any] = json.loads(marker.read_text(encoding="utf-8"))
        return figures

    def begun(self, step: str) -> bool:
        """Return whether a step was begun, finished or not."""
        return self._marker(step).with_suffix(".begun").exists()

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Do a step: what the block puts into the dict is its marker, written at the end."""
        write_atomically(self._marker(name).with_suffix(".begun"), b"")
        figures: dict[str, Any] = {}
        start = time.monotonic()
        yield figures
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        seconds = round(time.monotonic() - start, 1)
        write_json(self._marker(name), {"finished": finished, "seconds": seconds, **figures})

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from working on this run; the lock dies with the process.

        Raises:
            RunFolderInvalid: Another process works on it.
        """
        descriptor = os.open(self.path / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise RunFolderInvalid(self.path, "another process is working on this run") from error
        try:
            yield
        finally:
            os.close(descriptor)

    def clear(self, folder: Path) -> Path:
        """Empty one of the run's folders, left half-done by a killed process."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        return facts

    def _marker(self, step: str) -> Path:
        return self.path / "steps" / f"{step}.json"


def _is_free(path: Path, job_file: Path) -> bool:
    """Whether a folder is empty, or holds no more than a copy of this job file."""
    if not path.is_dir():
        return False
    unfinished = (".job.yaml.", ".run.json.")  # see `write_atomically`
    names = {one.name for one in path.iterdir() if not one.name.startswith(unfinished)}
    if not names:
        return True
    return names == {"job.yaml"} and (path / "job.yaml").read_bytes() == job_file.read_bytes()
