"""Series of TorchServe's workers: how many there are, their memory, and how often one came anew."""

from collections.abc import Callable, Collection, Mapping, Sequence

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge

from serving.arm_labels import RELEASE
from serving.store.values import ReleaseKey
from serving.torchserve.management import Registration

Running = Mapping[str, Sequence[Registration] | None]
"""What each backend runs, by its name; None: it does not answer."""


def resident_bytes(pid: int) -> int:
    """Return a process's memory; 0 where it has gone, or is on another machine."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


class WorkerSeries:
    """Counts workers by what the backends say from time to time.

    TorchServe tells of no restart, but a worker that was started again has another process id.

    Args:
        registry: Of the process.
        memory: Returns a process's memory, in bytes.
    """

    def __init__(
        self, registry: CollectorRegistry, memory: Callable[[int], int] = resident_bytes
    ) -> None:
        where = ("backend", *RELEASE)
        self._up = Gauge(
            "understudy_backend_up",
            "1 while the TorchServe's management API answers",
            ("backend",),
            registry=registry,
        )
        self._workers = Gauge(
            "understudy_workers",
            "Worker processes, by whether they take frames: ready or starting",
            (*where, "state"),
            registry=registry,
        )
        self._memory = Gauge(
            "understudy_worker_memory_bytes",
            "Resident memory of the release's workers together",
            where,
            registry=registry,
        )
        self._restarts = Counter(
            "understudy_worker_restarts",
            "Workers that were found to have been started again",
            where,
            registry=registry,
        )
        self._load_seconds = Gauge(
            "understudy_model_load_seconds",
            "How long the newest registration took, until all workers were ready",
            where,
            registry=registry,
        )
        self._memory_of = memory
        self._pids: dict[tuple[str, ReleaseKey], dict[str, int]] = {}

    def loaded(self, backend: str, key: ReleaseKey, seconds: float) -> None:
        """Show how long a backend took to load a release."""
        self._pids.setdefault((backend, key), {})
        self._load_seconds.labels(backend, key.model, key.version).set(seconds)

    def show(self, running: Running) -> None:
        """Show what runs now, and nothing else but for what a backend that is down ran last."""
        for gauge in (self._up, self._workers, self._memory):
            gauge.clear()
        for backend, registrations in running.items():
            self._up.labels(backend).set(registrations is not None)
            for one in registrations or ():
                self._show(backend, one)
            if registrations is not None:
                self._forget_all_but(backend, {one.key for one in registrations})

    def _show(self, backend: str, one: Registration) -> None:
        labels = (backend, one.key.model, one.key.version)
        starting = len(one.workers) - one.ready_workers
        for state, count in (("ready", one.ready_workers), ("starting", starting)):
            self._workers.labels(*labels, state).set(count)
        pids = {worker.id: worker.pid for worker in one.workers if worker.pid}
        self._memory.labels(*labels).set(sum(self._memory_of(pid) for pid in pids.values()))
        known = self._pids.setdefault((backend, one.key), {})
        anew = sum(known.get(worker, pid) != pid for worker, pid in pids.items())
        self._restarts.labels(*labels).inc(anew)
        known.update(pids)

    def _forget_all_but(self, backend: str, kept: Collection[ReleaseKey]) -> None:
        gone = [(at, key) for at, key in self._pids if at == backend and key not in kept]
        for at, key in gone:
            del self._pids[at, key]
            labels = {"backend": at, "model": key.model, "version": key.version}
            for metric in (self._restarts, self._load_seconds):
                metric.remove_by_labels(labels)
