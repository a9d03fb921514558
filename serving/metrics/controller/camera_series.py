"""Series of the cameras, by the operator's groups: none is ever of one camera."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge

from serving.store.observations import Sighting

MOST_GROUPS = 100
_OTHER = "other"
_NONE = "ungrouped"


class CameraSeries:
    """Known, expected and silent cameras of the largest hundred groups; the rest are "other".

    Args:
        registry: Of the process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, ("group",), registry=registry)

        self._known = gauge("understudy_cameras", "Cameras that traffic or the operator made known")
        self._expected = gauge(
            "understudy_expected_cameras", "Cameras of which the operator expects frames"
        )
        self._silent = gauge(
            "understudy_silent_cameras", "Cameras of which frames are expected and do not come"
        )

    def show(self, sightings: Iterable[Sighting], now: datetime) -> None:
        """Show the groups as they are now, and no others.

        Args:
            sightings: Of every camera.
            now: UTC, by the store's clock.
        """
        known: Counter[str] = Counter()
        expected: Counter[str] = Counter()
        silent: Counter[str] = Counter()
        for one in sightings:
            group = one.group or _NONE
            known[group] += 1
            expected[group] += one.expected_fps is not None
            silent[group] += one.is_silent(now)
        named = [group for group, _ in known.most_common(MOST_GROUPS)]
        shown = ((self._known, known), (self._expected, expected), (self._silent, silent))
        self.clear()
        for gauge, counts in shown:
            for group in named:
                gauge.labels(group).set(counts[group])
            if len(known) > len(named):
                rest = counts.total() - sum(counts[group] for group in named)
                gauge.labels(_OTHER).inc(rest)

    def clear(self) -> None:
        """Show none."""
        for gauge in (self._known, self._expected, self._silent):
            gauge.clear()
