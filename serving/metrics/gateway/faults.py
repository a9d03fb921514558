"""What Prometheus reads of faults: who stood in, who is cut off, what was tried again."""

from collections.abc import Container

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics import MetricWrapperBase

from serving.metrics.arm_labels import RELEASE
from serving.store.values import ReleaseKey


class FaultMetrics:
    """Series on fallbacks, breakers, retries and expired work.

    Args:
        registry: Of the process.
        gone: Releases, as model and version, of which nothing is counted any more.
    """

    def __init__(
        self, registry: CollectorRegistry, gone: Container[tuple[str, str]] = frozenset()
    ) -> None:
        self._gone = gone
        self.fallbacks = Counter(
            "understudy_fallbacks",
            "Frames handed over to the fallback arm, by the arm that was to answer and why not",
            ("route", "arm", "reason"),
            registry=registry,
        )
        self.fallbacks_refused = Counter(
            "understudy_fallbacks_refused",
            "Frames not handed over: no budget, no room at the fallback arm, or that is down",
            ("route", "arm", "reason"),
            registry=registry,
        )
        self.breaker_state = Gauge(
            "understudy_breaker_state",
            "0 closed, 1 half open, 2 open: nothing is sent",
            ("backend", *RELEASE),
            registry=registry,
        )
        self.retries = Counter(
            "understudy_retries",
            "Frames sent once more, by what went wrong before",
            (*RELEASE, "reason"),
            registry=registry,
        )
        self.expired = Counter(
            "understudy_expired_frames",
            "Frames dropped because their deadline had passed, by where: gateway or worker",
            (*RELEASE, "where"),
            registry=registry,
        )
        self.windows_dropped = Counter(
            "understudy_windows_dropped",
            "Windows of traffic that the store would not take in time",
            registry=registry,
        )

    def by_release(self) -> tuple[MetricWrapperBase, ...]:
        """Return the series that go when a release goes."""
        return (self.breaker_state, self.retries, self.expired)

    def count_retry(self, key: ReleaseKey, reason: str) -> None:
        """Count a frame that is sent once more.

        Args:
            key: To which release.
            reason: The code of what went wrong.
        """
        if (key.model, key.version) not in self._gone:
            self.retries.labels(key.model, key.version, reason).inc()

    def count_expired(self, key: ReleaseKey, where: str) -> None:
        """Count a frame that nobody waited for any more.

        Args:
            key: Who was to answer it.
            where: "gateway" or "worker".
        """
        if (key.model, key.version) not in self._gone:
            self.expired.labels(key.model, key.version, where).inc()

    def show_breaker(self, backend: str, key: ReleaseKey, state: int) -> None:
        """Show where a breaker stands.

        Args:
            backend: Its backend's name.
            key: Its release.
            state: The gauge's number.
        """
        if (key.model, key.version) not in self._gone:
            self.breaker_state.labels(backend, key.model, key.version).set(state)

    def hide_breaker(self, backend: str, key: ReleaseKey) -> None:
        """Show a breaker no more: its backend is none any more."""
        labels = {"backend": backend, "model": key.model, "version": key.version}
        self.breaker_state.remove_by_labels(labels)
