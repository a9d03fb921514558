"""Series of the certificates: when each listener's ends, and what was not taken up."""

from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge

from serving.tls.identity import Identity


class CertificateSeries:
    """Of one process; a listener that speaks in clear has none.

    Args:
        registry: Of the process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
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

    def show(self, listener: str, identity: Identity) -> None:
        """Show what a listener shows from now on.

        Args:
            listener: http, grpc, admin...
            identity: Of it.
        """
        for of, end in identity.ends.items():
            self.show_end(listener, of, end)

    def show_end(self, listener: str, of: str, end: datetime) -> None:
        """Show when a part of a listener's identity ends.

        Args:
            listener: http, grpc, admin...
            of: "server" or "clients".
            end: UTC.
        """
        self._ends.labels(listener, of).set(end.timestamp())

    def count_failed(self) -> None:
        """Count files that were not taken up."""
        self._failed.inc()
