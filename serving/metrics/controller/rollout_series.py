"""Series of the rollouts: where the newest of each route stands, and what its guardrails saw."""

from collections.abc import Collection, Iterable

from prometheus_client import CollectorRegistry, Gauge

from serving.metrics.arm_labels import ARM, ArmLabels
from serving.store.rollouts_values import Evidence, Rollout, RolloutState
from serving.store.values import MAX_WEIGHT, ReleaseKey


class RolloutSeries:
    """One rollout a route, the newest, as long as its release is not retired.

    Args:
        registry: Of the process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, (*ARM, *labels), registry=registry)

        self._state = gauge(
            "understudy_rollout_state",
            "1 at the state that the route's newest rollout is in, 0 at the others",
            "state",
        )
        self._stage = gauge(
            "understudy_rollout_stage_ratio", "The share that the rollout's stage gives its arm"
        )
        self._updated = gauge(
            "understudy_rollout_updated_timestamp_seconds",
            "When the rollout last moved or was looked at, Unix time",
        )
        self._breached = gauge(
            "understudy_guardrail_breached",
            "1 where the newest look at the guardrail rolled the rollout back",
            "guardrail",
        )
        self._estimate = gauge(
            "understudy_guardrail_estimate", "What the newest look saw", "guardrail"
        )
        self._limit = gauge("understudy_guardrail_limit", "The guardrail's limit", "guardrail")
        self._p_value = gauge(
            "understudy_guardrail_p_value",
            "How likely a sight at least as bad is within the limit",
            "guardrail",
        )
        self._cameras = gauge(
            "understudy_guardrail_cameras", "Cameras that the newest look went by", "guardrail"
        )

    def show(self, rollouts: Iterable[Rollout], known: Collection[ReleaseKey]) -> None:
        """Show the newest rollout of each route, and no others.

        Args:
            rollouts: Each route's newest before its others.
            known: The releases that have series.
        """
        self.clear()
        newest: dict[str, Rollout] = {}
        for rollout in rollouts:
            newest.setdefault(rollout.route, rollout)
        for rollout in newest.values():
            arm = rollout.before.arm(rollout.arm)
            if arm is not None and arm.release in known:
                self._show(rollout, ArmLabels.of(rollout.route, arm.name, arm.release))

    def clear(self) -> None:
        """Show none."""
        looks = (self._breached, self._estimate, self._limit, self._p_value, self._cameras)
        for gauge in (self._state, self._stage, self._updated, *looks):
            gauge.clear()

    def _show(self, rollout: Rollout, arm: ArmLabels) -> None:
        for state in RolloutState:
            self._state.labels(*arm, state.value).set(rollout.state is state)
        self._stage.labels(*arm).set((rollout.weight or 0) / MAX_WEIGHT)
        self._updated.labels(*arm).set(rollout.updated.timestamp())
        newest: dict[str, Evidence] = {}
        for evidence in sorted(rollout.evidence, key=lambda one: one.at):
            newest[evidence.guardrail] = evidence
        for guardrail, evidence in newest.items():
            self._show_look((*arm, guardrail), evidence)

    def _show_look(self, labels: tuple[str, ...], evidence: Evidence) -> None:
        self._breached.labels(*labels).set(evidence.verdict == "breach")
        self._estimate.labels(*labels).set(evidence.estimate)
        self._limit.labels(*labels).set(evidence.limit)
        self._p_value.labels(*labels).set(evidence.p_value)
        self._cameras.labels(*labels).set(evidence.cameras)
