"""What this machine is, as far as deploy settings that were measured on one hold on another."""

import os
import platform
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

_CPUINFO = Path("/proc/cpuinfo")
_CGROUP = Path("/sys/fs/cgroup")
_QUOTA = _CGROUP / "cpu.max"
_GPUS = Path("/proc/driver/nvidia/gpus")
_WORKERS_SHARE = 0.7


class Machine(BaseModel):
    """A kind of machine.

    Attributes:
        cpu: As its processor calls itself.
        architecture: "x86_64", "aarch64"...
        cores: Logical ones that this process may use, a container's limit included.
        gpus: Names of NVIDIA's, in the driver's order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: str
    architecture: str
    cores: int
    gpus: tuple[str, ...] = ()

    @classmethod
    def here(cls) -> Self:
        """Return this machine."""
        return cls(
            cpu=_first(_CPUINFO, "model name") or platform.processor() or platform.machine(),
            architecture=platform.machine(),
            cores=_cores(),
            gpus=tuple(
                _first(one, "Model") or "unknown" for one in sorted(_GPUS.glob("*/information"))
            ),
        )

    def differences(self, other: Self) -> list[str]:
        """Return in what another kind differs, as "cores 4, there 2"."""
        pairs = [
            (name, getattr(self, name), getattr(other, name)) for name in type(self).model_fields
        ]
        return [
            f"{name} {_told(mine)}, there {_told(theirs)}"
            for name, mine, theirs in pairs
            if mine != theirs
        ]


def _told(value: str | int | tuple[str, ...]) -> str:
    return (", ".join(value) or "none") if isinstance(value, tuple) else str(value)


def _cores() -> int:
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        cores = os.cpu_count() or 1
    return max(1, min(cores, quota_cores(_QUOTA) or cores))


def quota_cores(file: Path) -> int | None:
    """Return how many cores' time a container may spend, rounded up; None: all there is.

    Args:
        file: cgroup v2's cpu.max: "200000 100000", or "max 100000".
    """
    try:
        quota, period = map(int, file.read_text(encoding="ascii").split())
    except (OSError, ValueError):  # no limit, or no cgroup v2
        return None
    return -(-quota // period)


def memory_for_workers_bytes() -> int:
    """Return how much of the free memory workers may take; the rest is for whoever else is here."""
    return int(_WORKERS_SHARE * free_memory_bytes())


def free_memory_bytes(cgroup: Path = _CGROUP) -> int:
    """Return how much memory is free, in a container no more than its limit leaves.

    Args:
        cgroup: cgroup v2's folder.
    """
    import psutil  # noqa: PLC0415 - of serving's packages; the command line needs none of them

    free = psutil.virtual_memory().available
    try:
        limit = int((cgroup / "memory.max").read_text(encoding="ascii"))
        used = int((cgroup / "memory.current").read_text(encoding="ascii"))
        # What was read of files gives way at once.
        cached = int(_first(cgroup / "memory.stat", "inactive_file", " ") or 0)
    except (OSError, ValueError):  # no limit ("max"), or no cgroup v2
        return free
    return max(0, min(free, limit - used + cached))


def _first(file: Path, name: str, separator: str = ":") -> str:
    """Return a value of a file of "name: value" lines; "" where it has none."""
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    for line in text.splitlines():
        key, _, value = line.partition(separator)
        if key.strip() == name:
            return value.strip()
    return ""
