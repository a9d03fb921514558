"""A week in a store: a student is rolled out, rolled back, mended and rolled out again."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from fastapi import FastAPI
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.access.authenticator import Authenticator
from serving.access.keys import mint
from serving.api.admin_period import period_router
from serving.api.http_errors import answer_errors
from serving.api.listening import bind, http_server
from serving.store.histogram import bucket_of
from serving.store.observations import AgreementSums, Window
from serving.store.rollouts_values import Evidence, Rollout, RolloutPlan, RolloutState
from serving.store.store import Store
from serving.store.tables import audit as audit_table
from serving.store.tables import route_revisions
from serving.store.values import Arm, ReleaseKey, Route, Scope

END = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BEGIN = END - 168 * HOUR
TEACHER, FIRST, SECOND = (
    ReleaseKey.parse(text) for text in ("teacher-1.0", "student-1.0", "student-1.1")
)
# What nobody may smuggle into the page.
SCRIPT = "<script>alert('x')</script><img src=x onerror=alert(1)>"
# Nor whose frames they are.
CAMERA = "gate-7-mrs-smith"
# Hours after the beginning, the student's release and weight, who and why.
MOVES = [
    (-200, FIRST, 0, "ann", "the student on trial"),
    (40, FIRST, 1, "rollout 3f9c2a1b", "stage 1 of 3: student to 1%"),
    (44, FIRST, 25, "rollout 3f9c2a1b", "stage 2 of 3: student to 25%"),
    (52, FIRST, 0, "rollout 3f9c2a1b", "rolls back: errors above the limit"),
    (90, SECOND, 0, "ben", f"the mended one {SCRIPT}"),
    (92, SECOND, 25, "rollout 77aa01cd", "stage 2 of 3: student to 25%"),
    (110, SECOND, 100, "rollout 77aa01cd", "stage 3 of 3: student to 100%"),
]
AUDIT = [
    (30, "ann", "release.deploy", "student-1.0", "2 workers, batch 8"),
    (39.9, "ann", "rollout.start", "3f9c2a1b", "student of default"),
    (52, "rollout 3f9c2a1b", "rollout.rolled_back", "3f9c2a1b", "errors above the limit"),
    (70, "ben", "release.failed", "student-1.1", "golden frame 2: no box at (10, 12)"),
    (88, SCRIPT, "release.deploy", "student-1.1", "2 workers, batch 8"),
    (100, "ann", "key.create", "0123456789ab", f"{SCRIPT}, scope detect"),
    (101, "ann", "camera.put", CAMERA, "group north"),
    (102, "ann", "camera.forget", CAMERA, ""),
]


def route_of(release: ReleaseKey, weight: float) -> Route:
    """Teacher and student."""
    arms = (
        Arm(name="teacher", release=TEACHER, weight=100 - weight),
        Arm(name="student", release=release, weight=weight),
    )
    return Route(arms=arms)


def at_hour(hour: float) -> tuple[ReleaseKey, float]:
    """The student's release and weight at an hour."""
    *_, last = (move for move in MOVES if move[0] <= hour)
    return last[1], last[2]


def windows(hour: int, rng: np.random.Generator, per_hour: int = 1) -> list[Window]:
    """What a gateway wrote in an hour, in so many windows."""
    release, weight = at_hour(hour)
    day = 0.6 + 0.4 * math.sin(hour / 24 * 2 * math.pi)
    frames = round(36_000 * day / per_hour)
    slow = 2.5 if release == FIRST and weight >= 25 else 1.0
    found = []
    for place in range(per_hour):
        start = BEGIN + hour * HOUR + place * (HOUR / per_hour)
        student = round(frames * weight / 100)
        for key, count, median_s in ((TEACHER, frames - student, 0.055), (release, student, 0.011)):
            if not count:
                continue
            fails = key == FIRST and slow > 1
            failed = round(count * 0.04) if fails else 0
            latency = spread(count - failed, median_s * (slow if fails else 1), rng)
            codes = {"ok": count - failed} | ({"worker_failed": failed} if failed else {})
            found.append(window(start, key, "primary", latency, codes))
            if failed:
                latency = spread(failed, 0.06, rng)
                found.append(window(start, TEACHER, "fallback", latency, {"ok": failed}))
        if hour >= 30 and weight < 100:
            n = max(1, frames // 20)
            sums = AgreementSums(
                frames=n,
                f1=n * (0.88 if release == FIRST else 0.93),
                matched=n * 3,
                iou=n * 2.7,
                count_difference=n // 5,
            )
            latency = spread(n, 0.012, rng)
            found.append(window(start, release, "shadow", latency, {"ok": n}, agreement=sums))
    return found


def spread(count: int, median_s: float, rng: np.random.Generator) -> dict[int, int]:
    """A histogram around a median with a tail."""
    seconds = median_s * np.exp(rng.normal(0, 0.3, min(count, 200)))
    latency: dict[int, int] = {}
    for one in seconds:
        bucket = bucket_of(float(one))
        latency[bucket] = latency.get(bucket, 0) + max(1, count // len(seconds))
    return latency


def window(
    start: datetime,
    release: ReleaseKey,
    kind: Any,
    latency: dict[int, int],
    codes: dict[str, int],
    **further: Any,
) -> Window:
    """One of the arm that is called as the model."""
    return Window(
        gateway="gateway-1",
        start=start,
        route="default",
        revision=1,
        arm=release.model,
        release=release,
        kind=kind,
        codes=codes,
        latency=latency,
        **further,
    )


def rollouts() -> list[Rollout]:
    """One that was rolled back and one that came to its end."""

    def seen(hour: float, stage: float, guardrail: Any, *figures: float) -> Evidence:
        estimate, limit, p_value = figures
        verdict = "breach" if p_value < 0.01 else "pass"
        at, alpha = BEGIN + hour * HOUR, 0.0083
        return Evidence(
            at=at,
            stage=stage,
            guardrail=guardrail,
            cameras=112,
            estimate=estimate,
            limit=limit,
            p_value=p_value,
            alpha=alpha,
            verdict=verdict,
        )

    plan = RolloutPlan(arm="student", stages=(1, 25, 100))
    common = {"plan": plan, "revision": 1}
    return [
        Rollout(
            id="3f9c2a1b",
            started=BEGIN + 39.9 * HOUR,
            updated=BEGIN + 52 * HOUR,
            stage_started=BEGIN + 44 * HOUR,
            who="ann",
            why="first student",
            state=RolloutState.ROLLED_BACK,
            note="errors above the limit",
            before=route_of(FIRST, 0),
            stage=1,
            **common,
            evidence=(
                seen(43, 1, "errors", 0.001, 0.005, 0.4),
                seen(52, 25, "errors", 0.041, 0.005, 3e-5),
                seen(52, 25, "p99", 2.4, 1.5, 0.02),
                seen(52, 25, "agreement", 0.88, 0.8, 0.9),
            ),
        ),
        Rollout(
            id="77aa01cd",
            started=BEGIN + 91 * HOUR,
            updated=BEGIN + 112 * HOUR,
            stage_started=BEGIN + 110 * HOUR,
            who="ben",
            why=SCRIPT,
            state=RolloutState.DONE,
            note="student has 100% and kept within every guardrail",
            before=route_of(SECOND, 0),
            stage=2,
            **common,
            evidence=(seen(109, 25, "errors", 0.0, 0.005, 0.9),),
        ),
    ]


@dataclass(frozen=True)
class Server:
    """An admin API before a planted week.

    Attributes:
        url: Where.
        keys: By scope.
    """

    url: str
    keys: dict[Scope, str]


async def plant(store: Store, *, per_hour: int = 1) -> None:
    """Plant the week: each hour's traffic in so many windows."""
    rng = np.random.default_rng(0)
    await store.add_windows([one for hour in range(168) for one in windows(hour, rng, per_hour)])
    for rollout in rollouts():
        await store.put_rollout(rollout)
    revisions = [
        {
            "name": "default",
            "route": route_of(release, weight).model_dump(mode="json"),
            "at": BEGIN + hour * HOUR,
            "who": who,
            "why": why,
        }
        for hour, release, weight, who, why in MOVES
    ]
    names = ("who", "action", "subject", "detail")
    entries = [
        {"at": BEGIN + hour * HOUR} | dict(zip(names, said, strict=True)) for hour, *said in AUDIT
    ]

    async def write(connection: AsyncConnection) -> None:
        await connection.execute(insert(route_revisions), revisions)
        await connection.execute(insert(audit_table), entries)

    # The store dates entries itself.
    await store._transactions.writing(write)()


@asynccontextmanager
async def served(store: Store) -> AsyncIterator[Server]:
    """Serve a store's past, with a key of each scope."""
    keys: dict[Scope, str] = {}
    for scope in Scope:
        key, keys[scope] = mint(f"the {scope} key", scope)
        await store.add_key(key)
    app = FastAPI()
    answer_errors(app)
    app.include_router(period_router(store, Authenticator(store)), prefix="/admin/v1")
    listener = bind("127.0.0.1", 0, "admin_port")
    async with http_server(app, listener, stop_timeout_s=5):
        yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}", keys)
    listener.close()
