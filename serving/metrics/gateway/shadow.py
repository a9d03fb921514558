"""What Prometheus reads of the shadow: how often two arms were compared and how far they agreed."""

from collections.abc import Container, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from serving.metrics.arm_labels import ARM, ArmLabels
from serving.metrics.gateway.class_names import class_label
from serving.store.observations import AgreementSums, ClassAgreement
from serving.store.values import ReleaseKey

_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.999, 1.0)
_COUNTS = (0, 1, 2, 3, 5, 8, 13, 21, 50, 100)
_PAIR = (*ARM, "primary_model", "primary_version")


class ShadowMetrics:
    """Series of the shadow and its harvest; arm, model and version are the shadow arm's.

    Args:
        registry: Of the gateway.
        gone: Releases, as model and version, of which nothing is counted any more.
    """

    def __init__(
        self, registry: CollectorRegistry, gone: Container[tuple[str, str]] = frozenset()
    ) -> None:
        self._gone = gone
        self._frames = Counter(
            "understudy_shadow_frames",
            "Frames meant for a second arm too: compared, dropped for want of room, or failed",
            (*ARM, "outcome"),
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
            (*ARM, "class", "side"),
            registry=registry,
        )
        self._class_differences = Counter(
            "understudy_agreement_class_difference",
            "How many more detections of a class one of two arms has, summed over compared frames",
            (*ARM, "class"),
            registry=registry,
        )
        self._harvested = Counter(
            "understudy_harvest_frames",
            "Frames on which two arms disagreed: kept, limited, dropped or failed",
            ("outcome",),
            registry=registry,
        )

    def count_frame(self, arm: ArmLabels, outcome: str) -> None:
        """Count a sampled frame: "compared", "dropped" or "failed"."""
        self._frames.labels(*arm, outcome).inc()

    def show_agreement(
        self,
        arm: ArmLabels,
        primary: ReleaseKey,
        sums: AgreementSums,
        class_names: Sequence[str],
    ) -> None:
        """Count one compared frame.

        Args:
            arm: The shadow arm.
            primary: The release that answered the camera.
            sums: Of this one frame; class ids are the shadow arm's.
            class_names: Of the shadow arm's release.
        """
        # While the shadow was at it, the primary's release may have gone.
        if (primary.model, primary.version) not in self._gone:
            self._show_pair((*arm, primary.model, primary.version), sums)
        for number, found in sums.classes.items():
            self._count_class((*arm, class_label(class_names, number)), found)

    def _show_pair(self, pair: tuple[str, ...], sums: AgreementSums) -> None:
        self._f1.labels(*pair).observe(sums.f1)
        self._count_difference.labels(*pair).observe(sums.count_difference)
        if sums.matched:
            self._iou.labels(*pair).observe(sums.iou / sums.matched)

    def _count_class(self, labels: tuple[str, ...], found: ClassAgreement) -> None:
        for side in ("matched", "primary", "shadow"):
            self._class_detections.labels(*labels, side).inc(getattr(found, side))
        self._class_differences.labels(*labels).inc(abs(found.primary - found.shadow))

    def count_harvest(self, outcome: str) -> None:
        """Count a frame on which two arms disagreed by what became of it."""
        self._harvested.labels(outcome).inc()

    def forget(self, key: ReleaseKey) -> None:
        """Remove every series of a release, whichever side it was on."""
        labels = {"model": key.model, "version": key.version}
        primary = {"primary_model": key.model, "primary_version": key.version}
        for counter in (self._frames, self._class_detections, self._class_differences):
            counter.remove_by_labels(labels)
        for histogram in (self._f1, self._iou, self._count_difference):
            histogram.remove_by_labels(labels)
            histogram.remove_by_labels(primary)
