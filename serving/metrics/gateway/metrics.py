"""What Prometheus reads; a registry for each app, so that two in one process do not mix."""

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.metrics import MetricWrapperBase

from serving.error_info import code_of
from serving.metrics.arm_labels import ARM, RELEASE, ArmLabels
from serving.metrics.build import show_build
from serving.metrics.gateway.detections import DetectionMetrics
from serving.metrics.gateway.faults import FaultMetrics
from serving.metrics.gateway.shadow import ShadowMetrics
from serving.store.values import MAX_WEIGHT, ReleaseKey, Route

_SECONDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075),
    *(0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
_BATCH = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256)


class Metrics:
    """All series of a gateway; no label ever holds a camera, a frame or a key."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._gone: set[tuple[str, str]] = set()
        self.request_seconds = Histogram(
            "understudy_request_seconds",
            "From a checked frame to its answer, waiting included",
            (*ARM, "code"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.queue_seconds = self._arm_histogram(
            "understudy_queue_seconds", "Waiting in the gateway for a place at the release"
        )
        self.upstream_seconds = self._arm_histogram(
            "understudy_upstream_seconds", "The whole call to the worker"
        )
        self.stage_seconds = Histogram(
            "understudy_worker_stage_seconds",
            "A worker's own time by stage",
            (*ARM, "stage"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "understudy_worker_batch_size",
            "Frames in the batch that answered",
            ARM,
            buckets=_BATCH,
            registry=self.registry,
        )
        self.answers = Counter(
            "understudy_answers",
            "Answers by the way in and the code: ok, or an error's",
            ("api", "code"),
            registry=self.registry,
        )
        self.stream_frames = Counter(
            "understudy_stream_frames",
            "Frames of streams: answered, failed, or dropped because a newer one overtook them",
            ("outcome",),
            registry=self.registry,
        )
        self.rate_limited = Counter(
            "understudy_rate_limited_frames",
            "Frames refused because their key, or their camera, sends more than it may",
            ("limit",),
            registry=self.registry,
        )
        for limit in ("key", "camera"):
            self.rate_limited.labels(limit)
        self.variant_answers = Counter(
            "understudy_variant_answers",
            "Answers by the variant of the card that gave them",
            (*ARM, "variant"),
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "understudy_in_flight",
            "Frames that wait for a release or are being answered by it",
            RELEASE,
            registry=self.registry,
        )
        self.route_weight = Gauge(
            "understudy_route_weight_ratio",
            "Share of the keys that an arm answers, 0 to 1",
            ARM,
            registry=self.registry,
        )
        self.route_revision = Gauge(
            "understudy_route_revision", "Newest route revision applied", registry=self.registry
        )
        self.faults = FaultMetrics(self.registry, self._gone)
        self.shadow = ShadowMetrics(self.registry, self._gone)
        self.detections = DetectionMetrics(self.registry)
        show_build(self.registry)

    def _arm_histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, ARM, buckets=_SECONDS, registry=self.registry)

    def show_routes(self, revision: int, routes: Iterable[Route]) -> None:
        """Show the arms of the routes as they are now, and no others."""
        self.route_revision.set(revision)
        self.route_weight.clear()
        for route in routes:
            for arm in route.arms:
                labels = ArmLabels.of(route.name, arm.name, arm.release)
                self.route_weight.labels(*labels).set(arm.weight / MAX_WEIGHT)

    def count_request(self, arm: ArmLabels, code: str, seconds: float) -> None:
        """Count a frame's end at an arm.

        Args:
            arm: Who answered, or failed to.
            code: What it ended in; "ok" is an answer.
            seconds: From the checked frame to its end.
        """
        if (arm.model, arm.version) not in self._gone:
            self.request_seconds.labels(*arm, code).observe(seconds)

    def count_answer(self, api: str, error: BaseException | None) -> None:
        """Count one answer.

        Args:
            api: The way in: "http", "grpc" or "stream".
            error: None for a good answer.
        """
        self.answers.labels(api, code_of(error)).inc()

    def count_rate_limited(self, limit: str) -> None:
        """Count a frame refused by the limit of its "key" or its "camera"."""
        self.rate_limited.labels(limit).inc()

    def count_reply(
        self,
        arm: ArmLabels,
        *,
        variant: str,
        queue_s: float,
        upstream_s: float,
        batch: int,
        stages_ms: dict[str, float],
    ) -> None:
        """Count a worker's reply that became an answer.

        Args:
            arm: Who answered.
            variant: Of the card, as the worker says.
            queue_s: Waiting for a place, in seconds.
            upstream_s: The whole call, in seconds.
            batch: Frames in the batch.
            stages_ms: The worker's times by stage, in milliseconds.
        """
        self.variant_answers.labels(*arm, variant).inc()
        self.queue_seconds.labels(*arm).observe(queue_s)
        self.upstream_seconds.labels(*arm).observe(upstream_s)
        self.batch_size.labels(*arm).observe(batch)
        for stage, taken_ms in stages_ms.items():
            self.stage_seconds.labels(*arm, stage).observe(taken_ms / 1000)

    def forget(self, key: ReleaseKey) -> None:
        """Remove every series of a release, and count nothing more of it until it is recalled.

        A frame that another arm answered is told later than its own arm's release may go.
        """
        self._gone.add((key.model, key.version))
        self.shadow.forget(key)
        self.detections.forget(key)
        labels = {"model": key.model, "version": key.version}
        for metric in self._by_release():
            metric.remove_by_labels(labels)

    def recall(self, keys: Iterable[ReleaseKey]) -> None:
        """Count releases again that were forgotten."""
        self._gone.difference_update((key.model, key.version) for key in keys)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _by_release(self) -> tuple[MetricWrapperBase, ...]:
        return (
            self.request_seconds,
            self.queue_seconds,
            self.upstream_seconds,
            self.stage_seconds,
            self.batch_size,
            self.variant_answers,
            self.in_flight,
            self.route_weight,
            *self.faults.by_release(),
        )
