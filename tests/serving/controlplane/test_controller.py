"""Releases and routes, with a real TorchServe and a real store."""

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Any

import pytest

from serving.errors import (
    ArchiveRejected,
    DeployFailed,
    InvalidRoute,
    NothingToRollBackTo,
    ReleaseBusy,
    ReleaseConflict,
    RouteConflict,
    UnknownArm,
    UnknownRoute,
)
from serving.store.values import Arm, ReleaseKey, ReleaseState, Route

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

OTHER_BOXES = ((30, 30, 20, 20, 0.7, 0.01), (50, 10, 10, 10, 0.01, 0.01))


def key(text: str) -> ReleaseKey:
    return ReleaseKey.parse(text)


def route(**arms: tuple[str, float]) -> Route:
    return Route(
        arms=tuple(
            Arm(name=name, release=key(release), weight=weight)
            for name, (release, weight) in arms.items()
        )
    )


async def states(plane: Any) -> dict[str, str]:
    return {str(one.key): one.state.value for one in await plane.store.releases()}


async def deploy(plane: Any, name: str, version: str, **options: Any) -> Path:
    path: Path = await asyncio.to_thread(plane.build, name, version, **options)
    await plane.controller.deploy(path, who="test")
    return path


async def test_a_release_goes_from_deploy_through_standby_to_retired(
    plane: Any, image: bytes
) -> None:
    controller, store = plane.controller, plane.store
    for version, busy in (("1.0", 10), ("1.1", 0), ("1.2", 0)):
        await deploy(plane, "student", version, busy=busy)
    assert await states(plane) == dict.fromkeys(
        ["student-1.0", "student-1.1", "student-1.2"], "ready"
    )

    # A gateway that has applied every revision, and holds frames of the first version.
    await store.join_gateway("gateway")
    first = await controller.set_route(
        route(student=("student-1.0", 100)), who="ann", why="the first"
    )
    held = asyncio.gather(
        *(
            plane.backend.inference.predict(key("student-1.0"), image, timeout_s=30)
            for _ in range(20)
        )
    )
    await store.heartbeat("gateway", first.revision, {"student-1.0": 20})

    await controller.set_route(route(student=("student-1.1", 100)), who="ann", why="newer")
    assert (await states(plane))["student-1.0"] == "standby"

    last = await controller.set_route(route(student=("student-1.2", 100)), who="ann", why="newest")
    assert await states(plane) == {
        "student-1.0": "draining",
        "student-1.1": "standby",
        "student-1.2": "live",
    }
    await store.heartbeat("gateway", last.revision, {"student-1.0": 20})
    assert [one.id for one in await store.holders(key("student-1.0"), last.revision)] == ["gateway"]
    assert await plane.backend.management.describe(key("student-1.0")) is not None
    assert not held.done()

    replies = await held
    assert [reply.class_ids for reply in replies] == [(0, 1)] * 20
    await store.heartbeat("gateway", last.revision, {})
    await controller.drained()

    assert (await states(plane))["student-1.0"] == "retired"
    assert await plane.backend.management.describe(key("student-1.0")) is None
    retired = await store.release(key("student-1.0"))
    assert not plane.archives.path(retired.sha256).exists()
    entries = [(one.who, one.action, one.subject) for one in await store.audit_log()]
    assert ("ann", "route.set", "default") in entries
    assert ("controller", "release.retired", "student-1.0") in entries


async def test_rollback_is_instant_and_says_when_a_redeploy_is_needed(plane: Any) -> None:
    controller = plane.controller
    await deploy(plane, "student", "1.0")
    await deploy(plane, "student", "1.1", boxes=OTHER_BOXES)
    await controller.set_route(route(student=("student-1.0", 100)), who="ann", why="")
    with pytest.raises(NothingToRollBackTo, match="no earlier"):
        await controller.rollback("default", who="ann")
    await controller.set_route(route(student=("student-1.1", 100)), who="ann", why="")

    started = time.monotonic()
    back = await controller.rollback("default", who="ann", why="it sees ghosts")
    took_s = time.monotonic() - started

    assert took_s < 1.0
    assert back.route == route(student=("student-1.0", 100))
    assert back.why == "rollback to revision 1: it sees ghosts"
    assert await states(plane) == {"student-1.0": "live", "student-1.1": "standby"}

    await controller.retire(key("student-1.1"), who="ann")
    await controller.drained()
    with pytest.raises(NothingToRollBackTo, match=r"needs student-1\.1.*redeploy"):
        await controller.rollback("default", who="ann", revision=2)


async def test_promote_gives_one_arm_everything(plane: Any) -> None:
    controller = plane.controller
    await deploy(plane, "teacher", "1.0")
    await deploy(plane, "student", "1.0")
    split = route(teacher=("teacher-1.0", 50), student=("student-1.0", 50))
    await controller.set_route(split, who="ann", why="half")

    promoted = await controller.promote("default", "student", who="ann", why="good")

    assert [(arm.name, arm.weight) for arm in promoted.route.arms] == [
        ("teacher", 0.0),
        ("student", 100.0),
    ]
    assert await states(plane) == {"teacher-1.0": "live", "student-1.0": "live"}
    with pytest.raises(UnknownArm):
        await controller.promote("default", "understudy", who="ann", why="")
    with pytest.raises(UnknownRoute):
        await controller.promote("night", "student", who="ann", why="")


async def test_a_route_takes_only_what_is_loaded_and_only_at_the_expected_revision(
    plane: Any,
) -> None:
    controller = plane.controller
    with pytest.raises(InvalidRoute, match=r"student-1\.0 was never deployed") as refused:
        await controller.set_route(route(student=("student-1.0", 100)), who="ann", why="")
    assert refused.value.field == "arms.student.release"
    assert await plane.store.routes() == {}

    await deploy(plane, "student", "1.0")
    wanted = route(student=("student-1.0", 100))
    first = await controller.set_route(wanted, who="ann", why="", expected_revision=0)
    again = await controller.set_route(wanted, who="ann", why="")
    assert again == first
    with pytest.raises(RouteConflict):
        await controller.set_route(wanted, who="bob", why="", expected_revision=0)
    with pytest.raises(ReleaseBusy, match="live"):
        await controller.retire(key("student-1.0"), who="ann")


async def test_deploying_twice_is_once_and_another_archive_is_a_conflict(
    plane: Any, archives: Any, tmp_path: Path
) -> None:
    path = await deploy(plane, "student", "1.0")
    before = await plane.backend.management.describe(key("student-1.0"))

    again = await plane.controller.deploy(path, who="test")
    assert again.state is ReleaseState.READY
    assert await plane.backend.management.describe(key("student-1.0")) == before
    with pytest.raises(ReleaseBusy, match="batch_size"):
        await plane.controller.deploy(path, batch_size=2, who="test")

    other = await asyncio.to_thread(
        archives.build, tmp_path / "other", "student", "1.0", boxes=OTHER_BOXES
    )
    for name in (path.name, path.name + ".sig"):
        (other.parent / name).replace(path.parent / name)
    with pytest.raises(ReleaseConflict, match="new version"):
        await plane.controller.deploy(path, who="test")
    assert len(list(plane.archives.path("x").parent.iterdir())) == 1


async def test_a_release_gets_more_workers_without_being_loaded_again(plane: Any) -> None:
    path = await deploy(plane, "student", "1.0")
    scaled = await plane.controller.deploy(path, workers=2, who="test")
    found = await plane.backend.management.describe(key("student-1.0"))
    assert scaled.workers == 2
    assert found.ready_workers == 2
    # Whoever names no number leaves what there is.
    assert (await plane.controller.deploy(path, who="test")).workers == 2


async def test_workers_are_not_taken_from_a_release_that_has_work(plane: Any) -> None:
    path = await asyncio.to_thread(plane.build, "student", "1.0")
    await plane.controller.deploy(path, workers=2, who="test")
    await deploy(plane, "student", "1.1")
    first = route(student=("student-1.0", 100))
    revision = (await plane.controller.set_route(first, who="ann", why="")).revision
    with pytest.raises(ReleaseBusy, match=r"workers: student-1\.0 answers frames on 2"):
        await plane.controller.deploy(path, workers=1, who="test")

    await plane.controller.set_route(route(student=("student-1.1", 100)), who="ann", why="")
    await plane.store.join_gateway("gateway")
    await plane.store.heartbeat("gateway", revision, {"student-1.0": 1})
    with pytest.raises(ReleaseBusy, match="would be lost"):
        await plane.controller.deploy(path, workers=1, who="test")

    await plane.store.heartbeat("gateway", revision + 1, {})
    assert (await plane.controller.deploy(path, workers=1, who="test")).workers == 1
    assert (await plane.backend.management.describe(key("student-1.0"))).ready_workers == 1


async def test_a_release_is_not_removed_while_a_deploy_is_under_way(plane: Any) -> None:
    await deploy(plane, "student", "1.0")
    # As a deploy of the same archive holds it.
    async with plane.controller._term.deployer.one_at_a_time:
        await plane.controller.retire(key("student-1.0"), who="ann")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.shield(plane.controller.drained())
        assert await states(plane) == {"student-1.0": "draining"}
        assert await plane.backend.management.describe(key("student-1.0")) is not None

    await plane.controller.drained()

    assert await states(plane) == {"student-1.0": "retired"}


async def test_a_failed_warm_up_leaves_what_serves_and_nothing_else(
    plane: Any, image: bytes
) -> None:
    await deploy(plane, "student", "1.0")
    await plane.controller.set_route(route(student=("student-1.0", 100)), who="ann", why="")

    def elsewhere(card: Any) -> None:
        for detection in card.golden_frames[0].detections:
            detection.x1 -= 10

    path = await asyncio.to_thread(plane.build, "student", "1.1", change_card=elsewhere)
    with pytest.raises(DeployFailed, match=r"F1 0\.000"):
        await plane.controller.deploy(path, who="test")

    failed = await plane.store.release(key("student-1.1"))
    assert failed.state is ReleaseState.FAILED
    assert "golden frames" in failed.reason
    assert [str(one.key) for one in await plane.backend.management.list()] == ["student-1.0"]
    assert not plane.archives.path(failed.sha256).exists()
    with pytest.raises(InvalidRoute, match="is failed"):
        await plane.controller.set_route(route(student=("student-1.1", 100)), who="ann", why="")
    reply = await plane.backend.inference.predict(key("student-1.0"), image, timeout_s=10)
    assert reply.class_ids == (0, 1)


async def test_an_archive_that_does_not_load_fails_with_its_reason(plane: Any) -> None:
    def broken(card: Any) -> None:
        card.input.tensor_name = "pictures"

    path = await asyncio.to_thread(plane.build, "student", "1.0", change_card=broken)
    with pytest.raises(DeployFailed, match=r"student-1\.0"):
        await plane.controller.deploy(path, who="test")
    assert await states(plane) == {"student-1.0": "failed"}
    assert await plane.backend.management.list() == ()
    (failed,) = await plane.store.audit_log(1)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert (failed.who, failed.action, failed.subject) == ("test", "release.failed", "student-1.0")
    assert failed.detail.endswith(f"(sha256 {digest})")


async def test_a_rejected_archive_leaves_no_trace_but_in_the_audit(plane: Any) -> None:
    path = await asyncio.to_thread(plane.build, "student", "1.0")
    path.with_name(path.name + ".sig").unlink()
    with pytest.raises(ArchiveRejected, match="unsigned"):
        await plane.controller.deploy(path, who="test")
    assert await plane.store.releases() == []
    assert list(plane.archives.path("x").parent.iterdir()) == []
    (refused,) = await plane.store.audit_log(1)
    assert (refused.who, refused.action) == ("test", "release.refused")
    assert refused.subject == "student-1.0.mar"
    assert "unsigned" in refused.detail

    with pytest.raises(ArchiveRejected):
        await plane.controller.deploy(Path("a\0b\ud800.mar"), who="test")
    (refused,) = await plane.store.audit_log(1)
    assert refused.subject == r"a\x00b\ud800.mar"


async def test_no_code_of_an_archive_runs_before_its_card_is_found_good(
    plane: Any, tmp_path: Path
) -> None:
    came = tmp_path / "came"
    planted = {"handlers/errors.py": f"open({str(came)!r}, 'w')".encode()}

    def without_role(card: Any) -> None:
        card.ClearField("role")

    refused = await asyncio.to_thread(
        plane.build, "student", "1.0", files=planted, change_card=without_role
    )
    with pytest.raises(ArchiveRejected, match="role missing"):
        await plane.controller.deploy(refused, who="test")
    assert not came.exists()
    assert await plane.backend.management.list() == ()

    # The very same code, behind a good card: it would have come.
    taken = await asyncio.to_thread(plane.build, "student", "1.1", files=planted)
    with pytest.raises(DeployFailed):
        await plane.controller.deploy(taken, who="test")
    assert came.exists()


async def test_an_archive_tells_the_audit_its_whole_digest(plane: Any) -> None:
    path = await asyncio.to_thread(plane.build, "student", "1.0")

    await plane.controller.deploy(path, who="test")

    (deployed,) = await plane.store.audit_log(1)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert deployed.action == "release.deploy"
    assert deployed.detail.startswith(f"sha256 {digest}, ")
