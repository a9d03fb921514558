"""Where a figure comes from: command, commit, date and hardware, beside every result."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PROJECT_ROOT = Path(__file__).parents[1]
_UNKNOWN = "unknown"


def provenance(command: str) -> dict[str, Any]:
    """Return what belongs beside a figure.

    Args:
        command: What makes the figure again.
    """
    return {
        "command": command,
        "commit": _commit(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "gpu": None,
        "python": platform.python_version(),
        "system": platform.platform(),
        "load_generator": "on the same cores",
        "interpreter": Path(sys.executable).name,
    }


def doubts_of_commits(commits: Mapping[str, str]) -> list[str]:
    """Return why figures may not stand among the committed ones: nobody could make them again.

    Args:
        commits: Of each cell, by its key, as `provenance` tells it.

    Returns:
        One line that names the cells of uncommitted code; empty without any.
    """
    doubtful = [key for key, one in commits.items() if one == _UNKNOWN or one.endswith("+")]
    named = ", ".join(doubtful)
    return [f"uncommitted code made {named}: remove these folders"] if doubtful else []


def _commit() -> str:
    """Return the commit, "+" where the tree differs from it."""
    asked = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    done = subprocess.run(asked, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or _UNKNOWN


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
