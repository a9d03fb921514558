"""Jobs in processes of their own: cut off from the network, or killed at a chosen moment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from distill_jobs.environment import PROJECT_ROOT

_CLI = "from distill_jobs.cli import job_app; job_app()"
# A reporter is told of every stage and batch: the one place to die at a chosen moment.
_KILLED = """
import os, signal, sys
from pathlib import Path
from distill_jobs.progress import Silent
from distill_jobs.run import resume, run_job

class Assassin(Silent):
    left = None
    def stage(self, name, total):
        self.left = int(sys.argv[4]) if name == sys.argv[3] else None
    def advance(self, parts=1):
        if self.left is not None and parts:
            self.left -= parts
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

job, run_dir = Path(sys.argv[1]), Path(sys.argv[2])
if (run_dir / "run.json").exists():
    resume(run_dir, reporter=Assassin())
else:
    run_job(job, run_dir, reporter=Assassin(), model_store=run_dir.parent / "store",
            signing_key=run_dir.parent / "key.pem")
"""


def can_cut_network() -> bool:
    """Return whether this machine lets a test make a network namespace."""
    unshare = shutil.which("unshare")
    return unshare is not None and _run([unshare, "-rn", "true"]).returncode == 0


def without_network(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a namespace that has no network at all, not even a loopback that is up."""
    return _run(["unshare", "-rn", sys.executable, *arguments])


def job_without_network(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `understudy job ...` without a network."""
    return without_network("-c", _CLI, *arguments)


def killed_at(job: Path, run_dir: Path, stage: str, part: int) -> subprocess.CompletedProcess[str]:
    """Begin or resume a run that kills itself at a part of a stage; no network needed."""
    return _run([sys.executable, "-c", _KILLED, str(job), str(run_dir), stage, str(part)])


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb"}
    for name in ("YOLO_OFFLINE", "YOLO_AUTOINSTALL", "YOLO_CONFIG_DIR"):
        environment.pop(name, None)  # our own code must set them
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=PROJECT_ROOT,
        env=environment,
    )
