"""What runs now, for operators and measurements: a file in the state folder."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import structlog
from pydantic import BaseModel, ConfigDict, TypeAdapter

from serving.whole_file import write_whole

_log = structlog.get_logger(__name__)

FILE_NAME = "processes.json"


class ProcessInfo(BaseModel):
    """One process of the deployment.

    Attributes:
        pid: None while it is down; a TorchServe's is its guard's, Java and the workers are below.
        up: Whether it serves.
        restarts: How often it was started again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pid: int | None
    up: bool
    restarts: int


Processes = Mapping[str, ProcessInfo]
_FILE = TypeAdapter(dict[str, ProcessInfo])


class ProcessesFile:
    """Tells what runs now, replaced whole at each change.

    Args:
        state_dir: Where it lies.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE_NAME
        self._processes: Callable[[], Processes] | None = None

    @contextmanager
    def kept(self, processes: Callable[[], Processes]) -> Iterator[None]:
        """Have the file there for as long as the block runs.

        Args:
            processes: Returns what runs now.
        """
        self._processes = processes
        self.write()
        try:
            yield
        finally:
            self._processes = None
            self._path.unlink(missing_ok=True)

    def write(self) -> None:
        """Write what runs now."""
        if self._processes is None:
            return
        text = _FILE.dump_json(dict(self._processes()), indent=2).decode() + "\n"
        try:
            write_whole(self._path, text, mode=0o600)
        except OSError as error:
            # A full disk must not end what watches over the processes.
            _log.warning("processes_not_told", error=str(error))


def read_processes(state_dir: Path) -> dict[str, ProcessInfo]:
    """Return the deployment's processes by name; empty where none runs.

    What a supervisor that was killed has left says what was, not what is.
    """
    try:
        return _FILE.validate_json((state_dir / FILE_NAME).read_bytes())
    except FileNotFoundError:
        return {}
