"""The peers' own environments, made from their locks where they are not there yet."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.provenance import PROJECT_ROOT

PEERS_FOLDER = PROJECT_ROOT / "bench" / "peers"
_STAMP = ".installed"
# The stub of Triton's Python backend embeds CPython 3.11 and fails on some builds of it
# (3.11.7: `'_thread.RLock' object has no attribute '_recursion_count'`); Debian 12's own works.
_INTERPRETERS = {"triton": "/usr/bin/python3"}


class PeerUnavailable(Exception):
    """A peer cannot run on this machine."""


def absent_peers(names: Sequence[str]) -> dict[str, str]:
    """Return the peers that cannot run on this machine, and why."""
    return {
        name: f"needs {interpreter}, which this machine lacks"
        for name in names
        if not Path(interpreter := _INTERPRETERS.get(name, sys.executable)).exists()
    }


def peer_python(name: str) -> Path:
    """Return a peer's interpreter; its environment is made first where it is not there.

    Args:
        name: Folder under bench/peers/.

    Raises:
        PeerUnavailable: It cannot be made here; the message says why.
    """
    folder = PEERS_FOLDER / name
    environment, lock = folder / ".venv", folder / "requirements.lock"
    stamp, python = environment / _STAMP, environment / "bin" / "python"
    if stamp.exists() and stamp.read_bytes() == lock.read_bytes():
        return python
    shutil.rmtree(environment, ignore_errors=True)
    interpreter = _INTERPRETERS.get(name, sys.executable)
    # The lock is the whole truth: one pin (triton's NumPy) is against a package's own wish.
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    try:
        _run([interpreter, "-m", "venv", str(environment)])
        _run([str(python), *install, "-r", str(lock)])
    except subprocess.CalledProcessError as error:
        shutil.rmtree(environment, ignore_errors=True)
        said = error.stderr.strip()[-500:]
        raise PeerUnavailable(f"{name}: its environment cannot be made: {said}") from error
    shutil.copy(lock, stamp)
    return python


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
