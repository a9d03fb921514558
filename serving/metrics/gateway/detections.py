"""What Prometheus reads of what the arms find: a model or a scene that drifts shows here first."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from serving.metrics.arm_labels import ARM, ArmLabels
from serving.metrics.gateway.class_names import class_label
from serving.store.values import ReleaseKey

SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
COUNTS = (0, 1, 2, 3, 5, 8, 13, 21, 50, 100, 300)


class _Histogram:
    """Counts by bucket; the last is of what lies beyond all bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        up_to = accumulate(self._counts)
        family.add_metric(labels, list(zip(names, up_to, strict=True)), self._sum)


@dataclass
class _Found:
    """What one arm found."""

    class_names: Sequence[str]
    classes: Counter[int] = field(default_factory=Counter)
    scores: _Histogram = field(default_factory=lambda: _Histogram(SCORES))
    frames: _Histogram = field(default_factory=lambda: _Histogram(COUNTS))

    def by_label(self) -> Counter[str]:
        labels: Counter[str] = Counter()
        for number, count in self.classes.items():
            labels[class_label(self.class_names, number)] += count
        return labels


class DetectionMetrics(Collector):
    """Detections of answered frames, by arm.

    A frame holds dozens of detections, so they are counted in plain numbers and made into series
    when somebody asks. To be used by one thread, as all of a gateway's metrics.

    Args:
        registry: Of the gateway.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._found: dict[ArmLabels, _Found] = {}
        registry.register(self)

    def count(
        self,
        arm: ArmLabels,
        class_names: Sequence[str],
        class_ids: Sequence[int],
        scores: Sequence[float],
    ) -> None:
        """Count a frame that was answered at the card's own thresholds.

        Those of frames that ask for others would tell of who asked, not of what was seen.

        Args:
            arm: Who answered.
            class_names: Of the arm's release; index = class id.
            class_ids: One a detection, each of the card's.
            scores: One a detection, 0 to 1.
        """
        found = self._found.get(arm)
        if found is None:
            found = self._found[arm] = _Found(class_names)
        found.classes.update(class_ids)
        found.frames.observe(len(class_ids))
        for score in scores:
            found.scores.observe(score)

    def forget(self, key: ReleaseKey) -> None:
        """Remove every series of a release."""
        for arm in [arm for arm in self._found if arm.is_of(key)]:
            del self._found[arm]

    def collect(self) -> Iterable[Metric]:
        """Return the families."""
        detections = CounterMetricFamily(
            "understudy_detections",
            "Detections by class, of frames that asked for no thresholds of their own",
            labels=(*ARM, "class"),
        )
        scores = HistogramMetricFamily(
            "understudy_detection_score", "Scores of those detections", labels=ARM
        )
        frames = HistogramMetricFamily(
            "understudy_frame_detections", "Detections a frame, of those frames", labels=ARM
        )
        for arm, found in self._found.items():
            for label, count in found.by_label().items():
                detections.add_metric((*arm, label), count)
            found.scores.add_to(scores, arm)
            found.frames.add_to(frames, arm)
        return (detections, scores, frames)
