"""Series of the certificates: when each listener's ends, and what was not taken up."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from serving.tls.identity import Identity


class CertificateSeries:
    """Of one process; absent where its listeners speak in clear.

    Args:
        registry: Of the process.
        listeners: What shows the certificate: http, grpc, admin...
    """

    def __init__(self, registry: CollectorRegistry, listeners: Iterable[str]) -> None:
        self._listeners = tuple(listeners)
        self._ends = Gauge(
            "understudy_certificate_expiry_timestamp_seconds",
            "When a listener's certificate (server), or who signs its clients' (clients), ends, "
            "Unix time",
            ("listener", "of"),
            registry=registry,
        )
        self._failed = Counter(
            "understudy_certificate_renewals_failed",
            "New certificate files that were not taken up: the one before is shown",
            registry=registry,
        )

    def show(self, identity: Identity) -> None:
        """Show what the listeners show from now on."""
        for listener in self._listeners:
            for of, end in identity.ends.items():
                self._ends.labels(listener, of).set(end.timestamp())

    def count_failed(self) -> None:
        """Count files that were not taken up."""
        self._failed.inc()
