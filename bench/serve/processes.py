"""Processor time and memory of a server's processes, by group."""

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping

import psutil

Groups = Mapping[str, frozenset[int]]
"""Process ids by group: "gateway", "jvm", "worker"..., as they are now."""
Find = Callable[[], Groups]
_MIB = 2**20


def family(root: int) -> frozenset[int]:
    """Return a process, all that descend from it, and who else is of its session.

    Some servers' processes are adopted by others, some make sessions of their own: each is one of
    the two.
    """
    found = {root}
    with contextlib.suppress(psutil.NoSuchProcess):
        found |= {child.pid for child in psutil.Process(root).children(recursive=True)}
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if os.getsid(pid) == root:
                found.add(pid)
    return frozenset(found)


def cpu_s(groups: Groups) -> dict[str, dict[int, float]]:
    """Return the processor time, user and system, that each process has used, seconds."""
    return {name: _times(pids) for name, pids in groups.items()}


def used_ms(
    before: Mapping[str, Mapping[int, float]], after: Mapping[str, Mapping[int, float]]
) -> dict[str, float]:
    """Return what each group used between two looks, milliseconds; a new process counts whole."""
    return {
        name: 1000 * sum(s - before.get(name, {}).get(pid, 0.0) for pid, s in pids.items())
        for name, pids in after.items()
    }


def memory_mib(groups: Groups) -> dict[str, dict[str, float]]:
    """Return each group's memory: resident, and with shared pages divided among who shares them."""
    return {name: _memory(pids) for name, pids in groups.items()}


def _times(pids: Iterable[int]) -> dict[int, float]:
    found = {}
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            found[pid] = times.user + times.system
    return found


def _memory(pids: Iterable[int]) -> dict[str, float]:
    resident = proportional = 0
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            told = psutil.Process(pid).memory_full_info()
            resident += told.rss
            proportional += told.pss
    return {"rss": round(resident / _MIB, 1), "pss": round(proportional / _MIB, 1)}
