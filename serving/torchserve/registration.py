"""What TorchServe says that it runs: versions and their workers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from serving.store.values import ReleaseKey


@dataclass(frozen=True)
class Worker:
    """One worker process.

    Attributes:
        id: TorchServe's name for it.
        ready: Whether it takes requests.
        pid: Process id; 0 while it starts.
    """

    id: str
    ready: bool
    pid: int


@dataclass(frozen=True)
class Registration:
    """A version that TorchServe runs.

    Attributes:
        key: Name and version.
        archive: File name in TorchServe's store.
        batch_size: Largest batch.
        batch_delay_ms: How long a worker waits for a batch to fill.
        workers: Its processes.
    """

    key: ReleaseKey
    archive: str
    batch_size: int
    batch_delay_ms: int
    workers: tuple[Worker, ...]

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Self:
        """Return what TorchServe tells of a version.

        Args:
            found: One of its JSON objects.
        """
        return cls(
            key=ReleaseKey(model=found["modelName"], version=found["modelVersion"]),
            archive=found["modelUrl"],
            batch_size=found["batchSize"],
            batch_delay_ms=found["maxBatchDelay"],
            workers=tuple(
                Worker(
                    id=worker["id"],
                    ready=worker["status"] == "READY",
                    pid=max(0, worker.get("pid", 0)),
                )
                for worker in found["workers"]
            ),
        )

    @property
    def ready_workers(self) -> int:
        """How many of the workers take requests."""
        return sum(worker.ready for worker in self.workers)


class Deaths:
    """Counts workers that ended while they loaded: TorchServe starts each again, with a new pid."""

    def __init__(self) -> None:
        self._pids: dict[str, set[int]] = {}

    def seen(self, workers: tuple[Worker, ...]) -> int:
        """Return how many have ended, this look included."""
        for worker in workers:
            if worker.pid and not worker.ready:
                self._pids.setdefault(worker.id, set()).add(worker.pid)
        return sum(len(pids) - 1 for pids in self._pids.values())
