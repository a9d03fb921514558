"""A store with something in every table, put there by the product's own methods."""

from datetime import UTC, datetime, timedelta
from typing import Any

from serving.access.keys import mint
from serving.store.observations import AgreementSums, Camera, CameraWindow, ClassAgreement, Window
from serving.store.rollouts_values import Rollout, RolloutPlan
from serving.store.store import Store
from serving.store.values import (
    Arm,
    Fallback,
    Release,
    ReleaseKey,
    ReleaseState,
    Route,
    Scope,
    Shadow,
)

NOON = datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC)
TEACHER = ReleaseKey(model="teacher", version="1.0")
STUDENT = ReleaseKey(model="student", version="2.1")
ROUTE = Route(
    arms=(
        Arm(name="teacher", release=TEACHER, weight=62.5),
        Arm(name="student", release=STUDENT, weight=37.5),
    ),
    sticky="header:x-site",
    timeout_s=2.5,
    shadow=Shadow(arm="student", rate=0.25),
    fallback=Fallback(arm="teacher", budget=0.1),
)


async def fill(store: Store, *, states: ReleaseState = ReleaseState.LIVE) -> None:
    """Put something into every table.

    Args:
        store: Empty.
        states: Of both releases.
    """
    for name in ("default", "gate"):
        await store.put_route(ROUTE.model_copy(update={"name": name}), who="ann", why="wörds, 'so'")
    for number, key in enumerate((TEACHER, STUDENT)):
        await store.put_release(_release(key, states, number))
    await store.join_gateway("gateway-1")
    await store.put_placements("torchserve-1", {STUDENT: 2})
    lease = await store.acquire_lease("controller-1", 60)
    assert lease is not None
    await store.release_lease(lease)
    await store.add_windows([_window("primary"), _window("shadow")])
    await store.put_camera(Camera(id="yard", group="north", expected_fps=2.5, note="by the gate"))
    await store.put_rollout(_rollout())
    for key_name, ends in (("forever", None), ("for a day", NOON + timedelta(days=400))):
        key, _ = mint(key_name, Scope.DETECT, expires=ends)
        await store.add_key(key)
    await store.audit("ann", "release.deploy", str(STUDENT), 'said "yes" \\ and 100 %')


async def read(store: Store) -> dict[str, Any]:
    """Return what the product reads of what it keeps, but for what runs now."""
    windows = [await store.windows(name, since=NOON) for name in ("default", "gate")]
    histories = [await store.history(name, 10) for name in ("default", "gate")]
    return {
        "routes": await store.routes(),
        "histories": histories,
        "releases": await store.releases(),
        "windows": windows,
        "cameras": await store.cameras(),
        "rollouts": await store.rollouts(),
        "keys": await store.keys(),
        "audit": [entry for entry in await store.audit_log() if entry.who == "ann"],
        "generation": await store.generation(),
    }


async def works(store: Store) -> None:
    """Write to a store that holds what `fill` has put there: nothing is numbered twice."""
    before = await store.latest_revision()
    added = await store.put_route(ROUTE, who="bob", why="afterwards")
    await store.add_windows([_window("fallback")])
    await store.audit("bob", "test", "", "")
    key, _ = mint("another", Scope.ADMIN)
    await store.add_key(key)
    await store.join_gateway("gateway-2")
    await store.put_placements("torchserve-1", {TEACHER: 1})
    lease = await store.acquire_lease("controller-2", 60)

    assert added.revision == before + 1
    assert {one.kind for one in await store.windows("default", since=NOON)} >= {"fallback"}
    assert (await store.audit_log())[0].who == "bob"
    assert lease is not None
    await store.fenced(lease.epoch).put_release(_release(TEACHER, ReleaseState.STANDBY, 3))


def _release(key: ReleaseKey, state: ReleaseState, number: int) -> Release:
    return Release(
        key=key,
        sha256=f"{number:x}" * 64,
        role="teacher" if key is TEACHER else "student",
        class_names=("cell", "Zähler"),
        operating_thresholds=(0.25, 0.5),
        quality_measured=True,
        state=state,
        reason="it was asked for",
        workers=2,
        batch_size=4,
        created=NOON,
        updated=NOON + timedelta(seconds=number),
    )


def _window(kind: str) -> Window:
    agreement = AgreementSums(
        frames=2, f1=1.5, matched=3, iou=2.25, classes={0: ClassAgreement(matched=3, primary=4)}
    )
    return Window.model_validate(
        {
            "gateway": "gateway-1",
            "start": NOON,
            "route": "default",
            "revision": 1,
            "arm": "student",
            "release": STUDENT,
            "kind": kind,
            "codes": {"ok": 7, "overloaded": 1},
            "latency": {95: 4, 96: 3},
            "agreement": agreement if kind == "shadow" else None,
            "cameras": {"yard": CameraWindow(frames=8, errors=1, latency={95: 4})},
        }
    )


def _rollout() -> Rollout:
    return Rollout(
        id="r1",
        plan=RolloutPlan(arm="student"),
        started=NOON,
        updated=NOON,
        stage_started=NOON,
        who="ann",
        before=ROUTE,
        revision=1,
    )
