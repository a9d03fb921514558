"""Series of TorchServe's workers: how many there are, their memory, and how often one came anew."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge

from serving.metrics.arm_labels import RELEASE
from serving.store.values import ReleaseKey
from serving.torchserve.registration import Registration

Running = Mapping[str, Sequence[Registration] | None]
"""What each backend runs, by its name; None: it does not answer."""


def resident_bytes(pid: int) -> int:
    """Return the memory of a process of this machine; 0 where it has gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


class WorkerSeries:
    """Counts workers by what the backends say from time to time.

    TorchServe tells of no restart, but a worker that was started again has another process id.

    Args:
        registry: Of the process.
        here: Whether the backends run on this machine: elsewhere's process ids mean nothing here,
            and TorchServe's own figure would need its system metrics, which are off.
        memory: Returns a process's memory, in bytes.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        here: bool = True,
        memory: Callable[[int], int] = resident_bytes,
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
            "Resident memory of the release's workers together, where they are on this machine",
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
        self._here = here
        self._memory_of = memory
        self._pids: dict[tuple[str, ReleaseKey], dict[str, int]] = {}

    def loaded(self, backend: str, key: ReleaseKey, seconds: float) -> None:
        """Show how long a backend took to load a release."""
        self._pids.setdefault((backend, key), {})
        self._load_seconds.labels(backend, key.model, key.version).set(seconds)

    def show(self, running: Running) -> None:
        """Show what runs now; restarts and load times stay with their backend until `keep`."""
        for gauge in (self._up, self._workers, self._memory):
            gauge.clear()
        for backend, registrations in running.items():
            self._up.labels(backend).set(registrations is not None)
            for one in registrations or ():
                self._show(backend, one)
            self._expect_anew(backend, {one.key for one in registrations or ()})
        self._forget([one for one in self._pids if one[0] not in running])

    def keep(self, releases: Collection[ReleaseKey]) -> None:
        """Forget the restarts and load times of all but these releases.

        They are the store's: a TorchServe that was started anew runs none of them for a while, and
        has not unlearnt how often their workers ended.
        """
        self._forget([one for one in self._pids if one[1] not in releases])

    def _forget(self, gone: Iterable[tuple[str, ReleaseKey]]) -> None:
        for backend, key in gone:
            del self._pids[backend, key]
            labels = {"backend": backend, "model": key.model, "version": key.version}
            for metric in (self._restarts, self._load_seconds):
                metric.remove_by_labels(labels)

    def _show(self, backend: str, one: Registration) -> None:
        labels = (backend, one.key.model, one.key.version)
        starting = len(one.workers) - one.ready_workers
        for state, count in (("ready", one.ready_workers), ("starting", starting)):
            self._workers.labels(*labels, state).set(count)
        pids = {worker.id: worker.pid for worker in one.workers if worker.pid}
        if self._here:
            self._memory.labels(*labels).set(sum(self._memory_of(pid) for pid in pids.values()))
        known = self._pids.setdefault((backend, one.key), {})
        anew = sum(known.get(worker, pid) != pid for worker, pid in pids.items())
        self._restarts.labels(*labels).inc(anew)
        known.update(pids)

    def _expect_anew(self, backend: str, running: Collection[ReleaseKey]) -> None:
        """Count no worker as started again that is loaded after its whole backend was not."""
        for at, key in self._pids:
            if at == backend and key not in running:
                self._pids[at, key] = {}
