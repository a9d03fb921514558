import math

from hypothesis import given
from hypothesis import strategies as st
from scripted_backends import STUDENT, TEACHER, ScriptedBackend, release_of

from serving.dataplane.deadline import Deadline
from serving.dataplane.endpoints import Endpoints
from serving.dataplane.fallback import SPARE, Fallback
from serving.dataplane.lanes import Lanes
from serving.dataplane.parts import Part
from serving.dataplane.route_table import RouteTable
from serving.dataplane.upstream import Upstream
from serving.errors import WorkerFailed
from serving.metrics.gateway.metrics import Metrics
from serving.store.values import Arm, Route
from serving.store.values import Fallback as Rule

STUDENT_ARM = Arm(name="student", release=STUDENT, weight=100)
TEACHER_ARM = Arm(name="teacher", release=TEACHER, weight=0)
FAILED = WorkerFailed("raised")


def table_of(budget: float, *, teachers: int = 1, batch_size: int = 4) -> RouteTable:
    route = Route(arms=(STUDENT_ARM, TEACHER_ARM), fallback=Rule(arm="teacher", budget=budget))
    return RouteTable(
        revision=7,
        routes={"default": route},
        releases={key: release_of(key, batch_size=batch_size) for key in (STUDENT, TEACHER)},
        revisions={"default": 7},
        placements={STUDENT: {"b": 1}, TEACHER: {"b": teachers}},
    )


def built(table: RouteTable, gateways: int = 1) -> tuple[Fallback, Lanes]:
    metrics = Metrics()
    endpoints = Endpoints({"b": ScriptedBackend()}, lambda endpoint, state: None)
    endpoints.apply(table)
    lanes = Lanes(
        waiting_room=1,
        ready_workers=endpoints.ready_workers,
        live_gateways=lambda: gateways,
        backend_queue=1000,
    )
    return Fallback(lanes, Upstream(endpoints, metrics.faults), metrics.faults), lanes


def part_of(table: RouteTable, arm: Arm = STUDENT_ARM) -> Part:
    return Part(
        route=table.routes["default"],
        revision=7,
        arm=arm,
        release=table.releases[arm.release],
        deadline=Deadline.after(10),
    )


@given(
    budget=st.floats(0, 1),
    steps=st.lists(st.sampled_from(["asks", "asks and fails", "own traffic", "is done"])),
)
def test_never_beyond_the_budget_nor_into_the_spare_places(budget: float, steps: list[str]) -> None:
    table = table_of(budget)
    fallback, lanes = built(table)
    lane = lanes.of(table.releases[TEACHER])
    part, asked, handed = part_of(table), 0, 0

    for step in steps:
        if step.startswith("asks"):
            fallback.earn(part.route)
            asked += 1
        if step == "asks and fails":
            before = lane.taken
            if fallback.hand_over(part, table, FAILED) is not None:
                handed += 1
                assert lane.taken == before + 1 <= math.floor(lane.places * (1 - SPARE))
            else:
                assert lane.taken == before
        elif step == "own traffic":
            lane.try_enter()
        elif step == "is done" and lane.taken:
            lane.leave()
        assert handed <= budget * asked + 1e-6


def test_who_stands_in_is_told_with_the_revision() -> None:
    table = table_of(1.0)
    fallback, lanes = built(table)
    fallback.earn(table.routes["default"])

    handed = fallback.hand_over(part_of(table), table, FAILED)

    assert handed is not None
    stand_in, lane = handed
    assert (stand_in.arm, stand_in.stood_in_for, stand_in.kind) == (
        TEACHER_ARM,
        STUDENT_ARM,
        "fallback",
    )
    assert stand_in.revision == 7
    assert lane is lanes.of(table.releases[TEACHER])


def test_an_idle_arm_with_one_place_stands_in() -> None:
    # 2 x 1 worker x batch 1, shared by two gateways.
    table = table_of(1.0, batch_size=1)
    fallback, _ = built(table, gateways=2)
    for _ in range(2):
        fallback.earn(table.routes["default"])

    handed = [fallback.hand_over(part_of(table), table, FAILED) for _ in range(2)]

    assert [one is not None for one in handed] == [True, False]


def test_the_fallback_arm_has_none_itself() -> None:
    table = table_of(1.0)
    fallback, _ = built(table)
    fallback.earn(table.routes["default"])

    assert fallback.hand_over(part_of(table, TEACHER_ARM), table, FAILED) is None


def test_an_arm_that_is_down_stands_in_for_nobody() -> None:
    table = table_of(1.0, teachers=0)
    fallback, _ = built(table)
    fallback.earn(table.routes["default"])

    assert fallback.hand_over(part_of(table), table, FAILED) is None


def test_a_route_that_has_no_fallback_any_more_hands_nothing_over() -> None:
    table = table_of(1.0)
    fallback, _ = built(table)
    fallback.earn(table.routes["default"])
    later = RouteTable(
        revision=8,
        routes={"default": Route(arms=(STUDENT_ARM, TEACHER_ARM))},
        releases=table.releases,
        placements=table.placements,
    )

    assert fallback.hand_over(part_of(table), later, FAILED) is None
