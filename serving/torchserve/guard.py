"""Stands between us and TorchServe, so that nothing of it outlives us.

Run as a program: `python guard.py FOLDER COMMAND...`. It starts COMMAND in a process group of its
own and waits. When its standard input closes (whoever started it has stopped, or was killed: the
system closes the pipe either way) or COMMAND ends, it kills the whole group, TorchServe's Python
workers included, removes FOLDER and leaves with COMMAND's code. If the guard itself is killed, the
system kills COMMAND (Linux), and the workers follow when their sockets close.

TorchServe is killed, not asked: what it was serving has been drained before, and its folder holds
nothing worth keeping.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1  # prctl(2)


def _die_with_guard() -> None:
    """Ask the kernel to kill this process when the guard ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _kill_at_end_of_input(leader: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    _kill_group(leader)


def main(folder: str, command: list[str]) -> int:
    """Run a command until it ends or until our input does.

    Args:
        folder: Removed at the end.
        command: Program and arguments.

    Returns:
        The command's exit code; 128 + N if signal N ended it.
    """
    # A signal to us must not leave the command behind: the closed pipe is the only way to stop.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    child = subprocess.Popen(  # noqa: S603 - the command is ours, see process.py
        command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=_die_with_guard,  # noqa: PLW1509 - this process has one thread yet
    )
    threading.Thread(target=_kill_at_end_of_input, args=(child.pid,), daemon=True).start()
    # The code is left unreaped until the group is gone, so that its number cannot be another's.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    _kill_group(child.pid)
    code = child.wait()
    shutil.rmtree(folder, ignore_errors=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
