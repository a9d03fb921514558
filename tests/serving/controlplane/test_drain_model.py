"""A model of the drain: no release is removed under a frame, whatever stalls, dies or comes late.

The machine below plays operators, cameras, kills and clocks against a simulated store; every
decision is the real code's. The same machine with one rule of the protocol left out must find a
lost frame: else it would prove nothing.
"""

from typing import Any

import pytest
from drain_controller import CONFIRMED, DRAINED, GONE, SimController
from drain_gateway import Request, SimGateway
from drain_rules import Rules
from drain_store import KEYS, Clock, SimBackend, SimStore, route
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from serving.controlplane.releases import LOADED
from serving.store.values import ReleaseKey, ReleaseState

_JUMPS_S = (0.2, 2.0, 5.0, 7.0, 7.0, 59.0, 61.0, 121.0, 181.0)
# Where a controller is held up matters most between a question and what is done by its answer.
_POINTS = (DRAINED, CONFIRMED, "", "nowhere")
_STEPS = 60
_OPENINGS = (
    "nothing",
    "a drain was found done",
    "a frame waits",
    "a gateway lags",
    "a gateway is starting",
    "a gateway is silent",
    "its leader was held up",
    "its leader was held up late",
)
_WAYS = ("at once", "at once", "shadow", "waits")
_HARM = (
    "a gateway stalls",
    "a gateway is cut off",
    "a gateway dies",
    "a gateway dies before its supervisor",
    "a controller stalls",
    "a controller is replaced",
    "a backend comes back empty",
)
# Whoever is not held up renews its lease more often than that.
_TICK_S = 5.0
_small = st.integers(0, 5)
_MAX_GATEWAYS = 3


class LostFrame(AssertionError):
    """A release was removed while a living client's frame was on it, or could still be sent."""


class Drain(RuleBasedStateMachine):
    """Two backends, up to two controllers, up to three gateways, three releases."""

    rules_kept = Rules()
    openings = _OPENINGS

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = SimStore(self.clock, route(KEYS[0], KEYS[1]))
        self.backends = [SimBackend(self._removing) for _ in range(2)]
        for key in KEYS:
            state = ReleaseState.READY if key == KEYS[2] else ReleaseState.LIVE
            self.store.move(key, state)
            for backend in self.backends:
                backend.running.add(key)
        self.gateways: list[SimGateway] = []
        self.joined = 0
        for _ in range(2):
            self.a_gateway_starts()
            for _ in range(4):
                self.gateways[-1].step()
            self.gateways[-1].take("a")
            self.workers_answer(-1)
        self.controllers = [self._controller("one"), self._controller("two")]
        self.controllers[0].alive()

    def _controller(self, holder: str) -> SimController:
        return SimController(holder, self.store, self.backends, self.rules_kept)

    def _removing(self, backend: SimBackend, key: ReleaseKey) -> None:
        for gateway in self.gateways:
            for request in gateway.requests:
                if self._is_lost(request, backend, key):
                    raise LostFrame(f"{gateway.name} waits for {key}")
            if gateway.may_send() and gateway.table.names(key):
                raise LostFrame(f"{gateway.name} can still send to {key}")

    def _is_lost(self, request: Request, backend: SimBackend, key: ReleaseKey) -> bool:
        is_there = request.backend in {backend, None}
        return request.key == key and is_there and self.clock.now_s < request.until_s

    @initialize(which=st.integers(0, len(_OPENINGS) - 1))
    def something_has_happened(self, which: int) -> None:
        """Begin where a drain is at its narrowest; from nothing, few plays come that far."""
        opening = self.openings[which % len(self.openings)]
        if opening == "nothing":
            return
        if opening == "a gateway is starting":
            self.a_gateway_starts()
            self.gateways[-1].step()
        if opening in {"a frame waits", "a gateway is silent"}:
            self.gateways[0].take("a")
        if opening == "a gateway is silent":
            self.gateways[0].stalled = True
            self.time_passes(61.0)
        self.controllers[0].swap(route(KEYS[2], KEYS[2]))
        is_late = opening == "its leader was held up late"
        lags = opening == "a gateway lags"
        self._until_found(CONFIRMED if is_late else DRAINED, self.gateways[: 1 if lags else 2])
        if opening.startswith("its leader was held up"):
            self.controllers[0].stalled = True
            self.time_passes(7.0)
            for _ in range(3):
                self.all_goes_on()
            self.an_operator_brings_one_back(0)
            self.all_goes_on()

    def _until_found(self, point: str, gateways: list[SimGateway]) -> None:
        """Go on until the leader comes to a point of a drain; for as long as a silence lasts."""
        for _ in range(5):
            for _ in range(_STEPS):
                self._all_alive()
                for gateway in gateways:
                    gateway.step()
                if self.controllers[0].step(1) == point:
                    return
            self.time_passes(61.0)

    @rule()
    def a_gateway_starts(self) -> None:
        if len(self.gateways) < _MAX_GATEWAYS:
            self.joined += 1
            self.gateways.append(SimGateway(f"gateway-{self.joined}", self.store, self.rules_kept))

    @rule(which=_small, steps=st.integers(1, 3))
    def a_gateway_goes_on(self, which: int, steps: int) -> None:
        for gateway in self._one(self.gateways, which):
            for _ in range(steps):
                gateway.step()

    @rule(which=_small, camera=st.sampled_from("abcdef"), how=st.sampled_from(_WAYS))
    def a_camera_sends(self, which: int, camera: str, how: str) -> None:
        for gateway in self._one(self.gateways, which):
            gateway.take(camera, shadow=how == "shadow")
            if how != "waits":
                gateway.send(gateway.requests[-1], self.backends) if gateway.requests else None

    @rule(which=_small, request=_small)
    def a_frame_goes_out(self, which: int, request: int) -> None:
        for gateway in self._one(self.gateways, which):
            for one in self._one([one for one in gateway.requests if not one.backend], request):
                gateway.send(one, self.backends[:: -1 if request % 2 else 1])

    @rule(which=_small)
    def workers_answer(self, which: int) -> None:
        for gateway in self._one(self.gateways, which):
            for one in list(gateway.requests):
                if not gateway.stalled:
                    gateway.end(one)

    @rule(which=_small, how=st.sampled_from(_HARM))
    def something_suffers(self, which: int, how: str) -> None:
        if how == "a backend comes back empty":
            self._empty(self.backends[which % 2])
        elif how == "a controller stalls":
            self.controllers[which % 2].stalled = True
        elif how == "a controller is replaced":
            self.controllers[which % 2] = self._controller(self.controllers[which % 2].holder)
        else:
            for gateway in self._one(self.gateways, which):
                self._harm(gateway, how)

    def _empty(self, backend: SimBackend) -> None:
        backend.running.clear()
        for gateway in self.gateways:
            for one in [one for one in gateway.requests if one.backend is backend]:
                gateway.end(one)  # its client tries again

    def _harm(self, gateway: SimGateway, how: str) -> None:
        gateway.stalled = how == "a gateway stalls"
        gateway.cut_off = how == "a gateway is cut off"
        if how.startswith("a gateway dies"):
            self.gateways.remove(gateway)
        if how == "a gateway dies before its supervisor":
            self.store.rows.pop(gateway.name, None)

    @rule()
    def all_goes_on(self) -> None:
        for step in range(_STEPS):
            for controller in self.controllers:
                controller.step(step)
        for gateway in self.gateways:
            gateway.step()
            gateway.step()

    @rule()
    def all_is_well(self) -> None:
        for one in (*self.gateways, *self.controllers):
            one.stalled = False
        for gateway in self.gateways:
            gateway.cut_off = False

    @rule(which=st.integers(0, 1), first=_small, until=st.sampled_from(_POINTS))
    def a_controller_goes_on(self, which: int, first: int, until: str) -> None:
        busy = [one for one in self.controllers if one.is_busy]
        for controller in self._one(busy, which):
            for step in range(_STEPS):
                if controller.step(first + step) == until:
                    return

    @rule(first=_small, second=_small)
    def an_operator_sets_the_route(self, first: int, second: int) -> None:
        loaded = [key for key in KEYS if self.store.state(key) in LOADED]
        wanted = route(loaded[first % len(loaded)], loaded[second % len(loaded)])
        for controller in self._leader():
            controller.swap(wanted)

    @rule(which=_small)
    def an_operator_brings_one_back(self, which: int) -> None:
        gone = [key for key in KEYS if self.store.state(key) in GONE]
        for controller in self._leader():
            for key in self._one(gone, which):
                controller.bring_back(key)

    @rule(jump_s=st.sampled_from(_JUMPS_S))
    def time_passes(self, jump_s: float) -> None:
        until_s = self.clock.now_s + jump_s
        self._all_alive()
        while self.clock.now_s < until_s:
            self.clock.now_s = min(until_s, self.clock.now_s + _TICK_S)
            self._all_alive()
        for gateway in self.gateways:
            if jump_s > 1 and not gateway.is_joining:
                gateway.step()
                gateway.step()

    def _leader(self) -> list[SimController]:
        return [one for one in self.controllers if one.is_leader()]

    def _all_alive(self) -> None:
        for one in (*self.gateways, *self.controllers):
            one.alive()

    @staticmethod
    def _one(items: list[Any], which: int) -> list[Any]:
        return [items[which % len(items)]] if items else []


def run(rules: Rules, examples: int, *openings: str, **options: Any) -> None:
    """Let the machine play against a protocol that keeps these rules."""
    kept = {"rules_kept": rules, "openings": openings or _OPENINGS}
    run_state_machine_as_test(
        type("Drain", (Drain,), kept),
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            **options,
        ),
    )


def test_no_frame_is_lost() -> None:
    run(Rules(), 300)


@pytest.mark.parametrize(
    ("rule_left_out", "opening"),
    [
        ("row_before_route", "a gateway is starting"),
        ("tells_what_it_applied", "a gateway lags"),
        ("counts_at_once", "a frame waits"),
        ("fences_itself", "a gateway is silent"),
        ("reads_after_a_gap", "a gateway is silent"),
        ("checks_epoch", "its leader was held up"),
        ("acts_in_time", "its leader was held up late"),
        ("waits_for_deadlines", "a gateway is silent"),
        ("asks_revision", "nothing"),
    ],
)
def test_without_any_one_rule_the_model_loses_a_frame(rule_left_out: str, opening: str) -> None:
    with pytest.raises(LostFrame):
        run(Rules(**{rule_left_out: False}), 2000, opening, phases=[Phase.generate])


def test_each_rule_is_left_out_once() -> None:
    (parametrised,) = test_without_any_one_rule_the_model_loses_a_frame.pytestmark
    assert {one[0] for one in parametrised.args[1]} == set(Rules.__dataclass_fields__)
