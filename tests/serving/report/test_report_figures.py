"""Figures of the report that were worked out by hand."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_asyncio
from planted_week import FIRST, TEACHER, served, window
from report_seen import Page
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from serving.admin_client import AdminClient
from serving.commands.report_arguments import read_period
from serving.report.gathered import gather
from serving.report.page import render
from serving.store.store import Store
from serving.store.tables import audit
from serving.store.values import Scope
from serving.words import NOTHING

BEGIN = datetime(2026, 11, 20, 10, tzinfo=UTC)
END = BEGIN + timedelta(minutes=10)
WINDOWS = 120


async def report(store: Store, since: datetime, until: datetime, at: datetime) -> str:
    """Return the page, by way of the admin API."""
    async with served(store) as server:

        def asked() -> str:
            period = read_period(since.isoformat(), until.isoformat(), at)
            with AdminClient(server.url, server.keys[Scope.OPERATE]) as admin:
                gathered = gather(admin, period, lambda _: None)
            return render(gathered, url=server.url, at=at)

        return await asyncio.to_thread(asked)


@pytest_asyncio.fixture
async def text(store: Store) -> str:
    """Ten minutes of two gateways, the same every five seconds, and not quite up to a window's end.

    The teacher has 50 good frames of cameras and answers 48 of them, 24 in bucket 100, 20 in 120
    and 4 in 150; the student stands in for one of the other two, in bucket 200.
    """
    planted = []
    for place in range(WINDOWS):
        start = BEGIN + place * timedelta(seconds=5)
        first = {"ok": 24, "worker_failed": 2}
        second: dict[str, Any] = {"gateway": "gateway-2"}
        planted += [
            window(start, TEACHER, "primary", {100: 24}, first),
            window(start, TEACHER, "primary", {120: 20, 150: 4}, {"ok": 24, "bad_image": 1}),
            window(start, FIRST, "fallback", {200: 1}, {"ok": 1}),
        ]
        planted[-2] = planted[-2].model_copy(update=second)
    await store.add_windows(planted)
    return await report(store, BEGIN, END + timedelta(seconds=2), END + timedelta(days=1))


def test_the_arms_figures_are_those_of_both_gateways(text: str) -> None:
    # Bucket 100 is 0.1 ms * 1.05^100.5 = 13.5 ms, 120 is 35.7 ms, 150 is 154.5 ms.
    assert Page(text).row("teacher", "teacher-1.0") == [
        *("teacher", "teacher-1.0", "6,000", "96.00%", "240", "0", "13 ms", "36 ms", "155 ms"),
        *("0", NOTHING, NOTHING),
    ]


def test_whom_an_arm_stood_in_for_is_not_in_its_latency(text: str) -> None:
    student = dict(
        zip(
            Page(text).row("Arm", "Release"),
            Page(text).row("student", "student-1.0"),
            strict=True,
        )
    )
    assert (student["Frames"], student["Stood in"]) == ("0", "120")
    assert {student[name] for name in ("p50", "p90", "p99")} == {NOTHING}


def test_tiles_tell_what_cameras_saw(text: str) -> None:
    tiles = {name: value for value, name in re.findall(r"<b>([^<]*)</b><span>([^<]*)", text)}
    # 49 answers a window: the 25th is in bucket 120, and the last, of a stand-in, in 200.
    assert (tiles["frames"], tiles["answered"]) == ("6,000", "98.00%")
    assert (tiles["p50"], tiles["p99"]) == ("36 ms", "1.77 s")


def test_what_its_arm_did_not_answer_is_told_apart_from_what_nobody_did(text: str) -> None:
    assert "Frames that their arm did not answer, by what they ended in there" in text
    assert (
        "own mistakes included: worker_failed 240, bad_image 120. "
        "120 of them were answered by another arm." in text
    )


def test_a_steady_rate_is_a_level_line_up_to_its_end(text: str) -> None:
    drawn = re.search(r'aria-label="Frames a second.*?</svg>', text, re.DOTALL)
    assert drawn is not None
    levels = [
        {point.partition(",")[2] for point in line.split()}
        for line in re.findall(r'points="([^"]*)"', drawn.group(0))
    ]
    # 51 frames and 1 in five seconds, on an axis of 166 px that ends at 15 a second.
    assert levels == [{"63.1"}, {"173.8"}]


async def test_of_before_the_windows_that_are_kept_it_says_so(store: Store) -> None:
    at = BEGIN + timedelta(days=31)

    page = await report(store, BEGIN, BEGIN + timedelta(days=4), at)

    assert "Traffic is kept for 30 days: the page has none of before 2026-11-21 10:00." in page


async def test_arms_that_are_not_drawn_are_counted(store: Store) -> None:
    await store.add_windows(
        [
            window(
                BEGIN, TEACHER.model_copy(update={"version": f"1.{n}"}), "primary", {}, {"ok": 1}
            )
            for n in range(8)
        ]
    )

    page = await report(store, BEGIN, END, END + timedelta(days=1))

    assert "The charts show the 6 arms and releases that had most to do; 2 more are not" in page


async def test_an_audit_log_that_was_cut_says_from_when_on_it_is(store: Store) -> None:
    entries = [
        {"at": BEGIN + timedelta(seconds=0.01 * number), "who": "ann", "subject": "a", "detail": ""}
        | {"action": "release.deploy" if number else "release.failed"}
        for number in range(10_001)
    ]

    async def write(connection: AsyncConnection) -> None:
        await connection.execute(insert(audit), entries)

    await store._transactions.writing(write)()
    page = await report(store, BEGIN, END, END + timedelta(days=1))

    assert "More was done than the 10,000 newest entries of the audit log" in page
    assert "of before 2026-11-20 10:00 are neither shown nor counted" in page
