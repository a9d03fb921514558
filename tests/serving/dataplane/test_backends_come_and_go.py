"""Backends that join and leave while a gateway serves."""

import asyncio

from scripted_backends import TEACHER, ScriptedBackend, release_of

from serving.dataplane.breaker import LIMIT
from serving.dataplane.deadline import Deadline
from serving.dataplane.endpoints import Endpoint, Endpoints
from serving.dataplane.frames import Frame
from serving.dataplane.route_table import RouteTable
from serving.dataplane.upstream import Upstream
from serving.metrics.gateway.metrics import Metrics

FRAME = Frame(b"image", "gate-7", "f", None, None, "", "")
RELEASE = release_of(TEACHER)
BOTH = RouteTable(placements={TEACHER: {"b0": 1, "b1": 1}})


def chosen(endpoints: Endpoints) -> set[str]:
    found = (endpoints.choose(TEACHER) for _ in range(4))
    return {one.backend for one in found if one is not None}


def test_frames_go_to_a_backend_from_when_it_is_known_until_it_is_not() -> None:
    first, second = ScriptedBackend(), ScriptedBackend()
    gone: list[Endpoint] = []
    endpoints = Endpoints({"b0": first}, lambda _endpoint, _state: None, gone=gone.append)

    endpoints.apply(BOTH)
    assert chosen(endpoints) == {"b0"}
    endpoints.use({"b0": first, "b1": second})
    endpoints.apply(BOTH)
    assert chosen(endpoints) == {"b0", "b1"}
    endpoints.use({"b1": second})
    endpoints.apply(BOTH)
    assert chosen(endpoints) == {"b1"}
    assert [one.backend for one in gone] == ["b0"]


def test_one_that_left_is_kept_until_it_has_answered_what_it_has() -> None:
    gone: list[Endpoint] = []
    clients = {"b0": ScriptedBackend()}
    endpoints = Endpoints(clients, lambda _endpoint, _state: None, gone=gone.append)
    endpoints.apply(BOTH)
    endpoint = endpoints.choose(TEACHER)
    assert endpoint is not None
    endpoint.sent()

    endpoints.use({})
    endpoints.apply(BOTH)
    assert not endpoints.is_up(TEACHER)
    assert not gone
    endpoint.came_back()
    endpoints.apply(BOTH)
    assert gone == [endpoint]


async def test_the_frame_that_tries_a_backend_again_does_not_wait_for_it() -> None:
    backends = {"b0": ScriptedBackend(), "b1": ScriptedBackend()}
    now = 0.0
    endpoints = Endpoints(backends, lambda _endpoint, _state: None, clock=lambda: now)
    endpoints.apply(BOTH)
    upstream = Upstream(endpoints, Metrics().faults)
    doubted = endpoints.choose(TEACHER)
    assert doubted is not None
    doubted.failed(doubted.sent(), LIMIT)
    doubted.came_back()
    hangs = backends[doubted.backend].hold[TEACHER] = asyncio.Event()
    now = 1.0  # its pause is over

    answers = [await upstream.predict(RELEASE, FRAME, Deadline.after(3600)) for _ in range(3)]

    assert len(backends[doubted.backend].asked) == 1
    assert {one.backend for one in answers} == backends.keys() - {doubted.backend}
    hangs.set()
    for _ in range(10):  # its answer is on its way
        await asyncio.sleep(0)
    assert not doubted.is_doubted()
