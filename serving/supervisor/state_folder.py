"""The state folder: one supervisor at a time, and its name for the deployment."""

import fcntl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.errors import ConfigurationError
from serving.whole_file import write_whole

_INSTANCE_FILE = "instance"


@contextmanager
def owned(state_dir: Path) -> Iterator[int]:
    """Hold the state folder: two controllers on one would undo each other's work.

    Yields:
        The lock's descriptor. A child that inherits it holds the folder too: until the last one of
        a supervisor that was killed has ended, who comes next is refused.

    Raises:
        ConfigurationError: Another server holds it, or it cannot be written.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        state_dir.chmod(0o700)  # keys, their hashes and private archives lie here
        lock = (state_dir / "serve.lock").open("a")
    except OSError as error:
        raise ConfigurationError(
            f"state_dir: {state_dir} cannot be written ({error.strerror}); choose another "
            "(--state-dir, UNDERSTUDY_STATE_DIR)"
        ) from error
    with lock:
        try:
            # Goes with the processes, however they end.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(
                f"state_dir: {state_dir} is in use by another `understudy serve`; stop it, or "
                "choose another folder (--state-dir, UNDERSTUDY_STATE_DIR)"
            ) from error
        yield lock.fileno()


def instance(state_dir: Path) -> str:
    """Return what tells this deployment from others on the same store; made at the first start."""
    path = state_dir / _INSTANCE_FILE
    if not path.exists():
        write_whole(path, uuid.uuid4().hex[:8] + "\n", mode=0o600)
    return path.read_text().strip()
