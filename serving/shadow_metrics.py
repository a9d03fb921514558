"""What Prometheus reads of the shadow: how often two arms were compared and how far they agreed."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from serving.store.observations import AgreementSums
from serving.store.values import ReleaseKey

_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.999, 1.0)
_COUNTS = (0, 1, 2, 3, 5, 8, 13, 21, 50, 100)
_PAIR = ("route", "model", "version", "primary_model", "primary_version")
# A card may name thousands of classes, and each is three series.
_MOST_CLASSES = 100
_OTHER = "other"


class ShadowMetrics:
    """Series of the shadow and its harvest; `model` and `version` are the shadow arm's release.

    Args:
        registry: Of the gateway.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._frames = Counter(
            "understudy_shadow_frames",
            "Frames meant for a second arm too: compared, dropped for want of room, or failed",
            ("route", "arm", "model", "version", "outcome"),
            registry=registry,
        )
        self._f1 = Histogram(
            "understudy_agreement_f1",
            "F1 of two arms' detections on one frame",
            _PAIR,
            buckets=_SHARES,
            registry=registry,
        )
        self._iou = Histogram(
            "understudy_agreement_iou",
            "Mean overlap of the detections that two arms share on one frame",
            _PAIR,
            buckets=_SHARES,
            registry=registry,
        )
        self._count_difference = Histogram(
            "understudy_agreement_count_difference",
            "How many more detections one of two arms has on one frame",
            _PAIR,
            buckets=_COUNTS,
            registry=registry,
        )
        self._class_detections = Counter(
            "understudy_agreement_class_detections",
            "Detections on compared frames by class: matched pairs, the primary's, the shadow's",
            ("route", "model", "version", "class", "side"),
            registry=registry,
        )
        self._harvested = Counter(
            "understudy_harvest_frames",
            "Frames on which two arms disagreed: kept, limited, dropped or failed",
            ("outcome",),
            registry=registry,
        )

    def count_frame(self, route: str, arm: str, key: ReleaseKey, outcome: str) -> None:
        """Count a sampled frame: "compared", "dropped" or "failed"."""
        self._frames.labels(route, arm, key.model, key.version, outcome).inc()

    def show_agreement(
        self,
        route: str,
        key: ReleaseKey,
        primary: ReleaseKey,
        sums: AgreementSums,
        class_names: Sequence[str],
    ) -> None:
        """Count one compared frame.

        Args:
            route: Its name.
            key: The shadow arm's release.
            primary: Of the arm that answered the camera.
            sums: Of this one frame; class ids are the shadow arm's.
            class_names: Of the shadow arm's release.
        """
        pair = (route, key.model, key.version, primary.model, primary.version)
        self._f1.labels(*pair).observe(sums.f1)
        self._count_difference.labels(*pair).observe(sums.count_difference)
        if sums.matched:
            self._iou.labels(*pair).observe(sums.iou / sums.matched)
        for number, found in sums.classes.items():
            known = number < min(len(class_names), _MOST_CLASSES)
            labels = (route, key.model, key.version, class_names[number] if known else _OTHER)
            for side in ("matched", "primary", "shadow"):
                self._class_detections.labels(*labels, side).inc(getattr(found, side))

    def count_harvest(self, outcome: str) -> None:
        """Count a frame on which two arms disagreed by what became of it."""
        self._harvested.labels(outcome).inc()

    def forget(self, key: ReleaseKey) -> None:
        """Remove every series of a release, whichever side it was on."""
        labels = {"model": key.model, "version": key.version}
        primary = {"primary_model": key.model, "primary_version": key.version}
        for counter in (self._frames, self._class_detections):
            counter.remove_by_labels(labels)
        for histogram in (self._f1, self._iou, self._count_difference):
            histogram.remove_by_labels(labels)
            histogram.remove_by_labels(primary)
