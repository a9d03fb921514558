"""What an installed package holds: a wheel is what images install."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from distill_jobs.environment import PROJECT_ROOT

PACKAGES = ("distill_jobs", "handlers", "proto", "serving", "understudy")
DESCRIPTION = ("pyproject.toml", "README.md", "LICENSE")


@pytest.mark.slow
def test_a_wheel_holds_every_file_of_the_packages(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT_ROOT / package, source / package, ignore=ignored)
    for name in DESCRIPTION:
        shutil.copy(PROJECT_ROOT / name, source)
    files = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}

    command = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "."]
    subprocess.run([sys.executable, *command, "--wheel-dir", str(tmp_path)], cwd=source, check=True)

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as parts:
        held = set(parts.namelist())
    assert {"distill_jobs/demo/teacher.pt", "serving/store/migrations/script.py.mako"} <= files
    assert files - set(DESCRIPTION) <= held
