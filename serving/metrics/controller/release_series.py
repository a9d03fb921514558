"""Series of the releases: where each stands, and how many of its workers are ready where."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Gauge

from serving.metrics.arm_labels import RELEASE
from serving.store.values import Release, ReleaseKey, ReleaseState

# Long enough to be seen and acted on; the store keeps failed ones for ever.
_FAILED_SHOWN = timedelta(days=1)
Placements = Mapping[str, Mapping[ReleaseKey, int]]


class ReleaseSeries:
    """Those that are loaded, on their way, or failed in the last day; a retired one has no series.

    Args:
        registry: Of the process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._state = Gauge(
            "understudy_release_state",
            "1 at the state that the release is in, 0 at the others",
            (*RELEASE, "state"),
            registry=registry,
        )
        self._since = Gauge(
            "understudy_release_state_timestamp_seconds",
            "When the release came into its state, Unix time",
            RELEASE,
            registry=registry,
        )
        self._info = Gauge(
            "understudy_release_info",
            "1; what was asked for at the deploy: a variant, or auto",
            (*RELEASE, "role", "variant"),
            registry=registry,
        )
        self._wanted = Gauge(
            "understudy_release_wanted_workers",
            "Workers that each backend should have of the release",
            RELEASE,
            registry=registry,
        )
        self._ready = Gauge(
            "understudy_release_ready_workers",
            "Workers of the release that have answered their golden frames and take frames",
            ("backend", *RELEASE),
            registry=registry,
        )

    def show(self, releases: Iterable[Release], placements: Placements, now: datetime) -> None:
        """Show the releases as they are now, and no others.

        Args:
            releases: All that the store knows.
            placements: Ready workers by backend and release.
            now: UTC, by the store's clock.
        """
        self.clear()
        shown = [release for release in releases if _is_shown(release, now)]
        for release in shown:
            self._show(release)
        for backend, running in placements.items():
            for release in shown:
                labels = (backend, release.key.model, release.key.version)
                self._ready.labels(*labels).set(running.get(release.key, 0))

    def clear(self) -> None:
        """Show none."""
        for gauge in (self._state, self._since, self._info, self._wanted, self._ready):
            gauge.clear()

    def _show(self, release: Release) -> None:
        labels = (release.key.model, release.key.version)
        for state in ReleaseState:
            self._state.labels(*labels, state.value).set(release.state is state)
        self._since.labels(*labels).set(release.updated.timestamp())
        self._info.labels(*labels, release.role, release.variant).set(1)
        self._wanted.labels(*labels).set(release.workers)


def _is_shown(release: Release, now: datetime) -> bool:
    if release.state is ReleaseState.FAILED:
        return now - release.updated < _FAILED_SHOWN
    return release.state is not ReleaseState.RETIRED
