"""Which runs there are and how far each has come."""

import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_jobs.errors import JobError
from distill_jobs.results import ModelResult, read_model
from distill_jobs.run_folder import RunFolder
from distill_jobs.run_table import steps_of

# runs/NAME, runs/NAME-redistil/TIME/run and sweeps' trials lie no deeper.
_DEEPEST = 4


@dataclass(frozen=True)
class RunLine:
    """One run as a list shows it.

    Attributes:
        path: Its folder.
        began: When, ISO 8601, UTC; "" where nobody knows.
        state: "done", "running STEP", "failed at STEP", "stopped at STEP"; a sweep's "sweep of 20
            trials", "sweep, running" or "sweep, stopped"; a trial's "stopped early" or "failed"; or
            why it cannot be read.
        teacher: As far as it is known.
        student: Likewise.
    """

    path: Path
    began: str
    state: str
    teacher: ModelResult | None = None
    student: ModelResult | None = None

    @property
    def kept(self) -> float | None:
        """Student's mAP50-95 over its teacher's; None without both."""
        if self.teacher is None or self.student is None or not self.teacher.map50_95:
            return None
        if self.student.map50_95 is None:
            return None
        return self.student.map50_95 / self.teacher.map50_95


def list_runs(root: Path, *, trials: bool = False) -> list[RunLine]:
    """Find the runs under a folder, the newest first.

    Args:
        root: Searched four folders deep.
        trials: Whether the trials of sweeps are runs too.
    """
    lines = [_line(RunFolder(path)) for path in sorted(_folders(root, _DEEPEST, trials=trials))]
    return sorted(lines, key=lambda line: line.began, reverse=True)


def _folders(root: Path, depth: int, *, trials: bool) -> Iterator[Path]:
    if not root.is_dir():
        return
    if (root / "run.json").is_file():
        yield root
        if trials:
            yield from _folders(root / "trials", 1, trials=False)
        return
    for one in root.iterdir() if depth > 0 else ():
        if one.is_dir() and not one.name.startswith(".") and not one.is_symlink():
            yield from _folders(one, depth - 1, trials=trials)


def _line(folder: RunFolder) -> RunLine:
    try:
        teacher, student = read_model(folder, "teacher"), read_model(folder, "student")
        return RunLine(folder.path, folder.place("began"), _state(folder), teacher, student)
    except JobError as error:
        return RunLine(folder.path, "", f"unreadable: {error.message}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return RunLine(folder.path, "", f"unreadable: {error}")


def _state(folder: RunFolder) -> str:
    steps = steps_of(folder, folder.job())
    missing = [step for step in steps if folder.figures(step) is None]
    if missing and _is_held(folder):
        return f"running {missing[0]}"
    if missing:
        ended = _ended_trial(folder) if folder.kind == "trial" else ""
        how = "failed" if folder.failure.exists() else "stopped"
        return ended or f"{how} at {missing[0]}"
    return _trials(folder) if folder.kind == "sweep" else "done"


def _trials(sweep: RunFolder) -> str:
    """Tell a sweep by the trials that it counted when it last came to its end."""
    if _is_held(sweep):
        return "sweep, running"
    counted = _sweep_figures(sweep.path).get("counted")
    return f"sweep of {counted} trials" if counted else "sweep, stopped"


def _ended_trial(trial: RunFolder) -> str:
    """Return how a trial without a student ended: it does not go on."""
    told = _sweep_figures(trial.path.parent.parent).get("trials", [])
    return next((one["state"] for one in told if one["folder"] == trial.path.name), "")


def _sweep_figures(sweep: Path) -> dict[str, Any]:
    file = sweep / "sweep.json"
    figures: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return figures


def _is_held(folder: RunFolder) -> bool:
    """Return whether a process works on the run right now."""
    try:
        with (folder.path / ".lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
