"""The command as users run it, and the real data where it lies beside the project."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Run

from distill_jobs.environment import PROJECT_ROOT, offline

offline()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real weights and images; the test is skipped, and says so, where they are absent."""
    folder = Path(os.environ.get("UNDERSTUDY_DATA", PROJECT_ROOT.parent / "shared" / "data"))
    if not (folder / "weights" / "yolov8n.pt").is_file():
        pytest.skip(f"no real data at {folder}: set UNDERSTUDY_DATA")
    return folder


@pytest.fixture
def understudy(tmp_path: Path) -> Run:
    """Run `understudy` with a home of its own; fails the test unless it exits as expected."""

    def run(*arguments: str | Path, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
        environment = (
            os.environ | {"UNDERSTUDY_HOME": str(tmp_path / "home"), "COLUMNS": "80"} | more
        )
        done = subprocess.run(
            [sys.executable, "-m", "understudy", *map(str, arguments)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run
