"""What this machine is, as far as variants care."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Machine:
    """A machine that runs a worker.

    Attributes:
        architecture: "x86_64", "aarch64"...
        cpu_model: As the processor calls itself; "" where it does not say.
        cpu_flags: What it can do, Linux's names.
        cores: How many this process may use, a container's limit included.
        is_limited: Whether that limit is below what the process may run on: engines, which ask for
            the latter, would start too many threads.
    """

    architecture: str
    cpu_model: str
    cpu_flags: frozenset[str]
    cores: int
    is_limited: bool = False

    @classmethod
    def here(cls, cpuinfo: Path = _CPUINFO, quota: Path = _QUOTA) -> "Machine":
        """Return this machine; where it cannot be asked, one that can do nothing special.

        Args:
            cpuinfo: What Linux says of the processor.
            quota: cgroup v2's cpu.max: a container's limit on time leaves all cores in sight.
        """
        try:
            text = cpuinfo.read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        visible = _visible_cores()
        cores = max(1, min(visible, _quota_cores(quota) or visible))
        first = text.partition("\n\n")[0]  # one paragraph a core, all alike
        said = dict(_pair(line) for line in first.splitlines())
        return cls(
            architecture=platform.machine(),
            cpu_model=said.get("model name", ""),
            cpu_flags=frozenset(said.get("flags", said.get("Features", "")).split()),
            cores=cores,
            is_limited=cores < visible,
        )

    @property
    def is_x86(self) -> bool:
        """Whether it is x86-64."""
        return self.architecture in {"x86_64", "AMD64"}

    @property
    def multiplies_8_bits_exactly(self) -> bool:
        """Whether 8-bit products are summed without saturating.

        On x86-64 that takes VNNI; without it, two products of 8-bit activations and 8-bit weights
        are summed in 16 bits.
        """
        return not self.is_x86 or bool(self.cpu_flags & {"avx512_vnni", "avx_vnni"})

    @property
    def has_bf16(self) -> bool:
        """Whether it multiplies bfloat16 by itself; OpenVINO does so on x86-64 alone."""
        return self.is_x86 and bool(self.cpu_flags & {"avx512_bf16", "amx_bf16"})


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition(":")
    return key.strip(), value.strip()


def _visible_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _quota_cores(file: Path) -> int | None:
    """Return how many cores' time a container may spend, rounded up; None: all there is."""
    try:
        quota, period = map(int, file.read_text(encoding="ascii").split())
        return -(-quota // period)
    except (OSError, ValueError, ZeroDivisionError):  # no limit ("max 100000"), or no cgroup v2
        return None
