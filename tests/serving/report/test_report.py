"""`understudy report` before a planted week: what is on the page, and what cannot get into it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import typer
from click.testing import Result
from planted_week import (
    BEGIN,
    CAMERA,
    END,
    FIRST,
    SCRIPT,
    SECOND,
    TEACHER,
    Server,
    plant,
    served,
)
from report_seen import Page
from typer.testing import CliRunner

from serving.commands.report import report
from serving.store.store import Store
from serving.store.values import Scope

app = typer.Typer(rich_markup_mode="rich")
app.command()(report)
WEEK = ("--since", BEGIN.isoformat(), "--until", END.isoformat())


@pytest_asyncio.fixture
async def server(store: Store) -> AsyncIterator[Server]:
    await plant(store)
    async with served(store) as opened:
        yield opened


@pytest.fixture
def command(server: Server, tmp_path: Path) -> Callable[..., Any]:
    """Runs the command beside the loop that answers it; its page is report.html."""

    async def run(*arguments: str, scope: Scope = Scope.OPERATE, key: str | None = None) -> Result:
        known = {
            "COLUMNS": "80",
            "TERM": "dumb",
            "UNDERSTUDY_ADMIN_URL": server.url,
            "UNDERSTUDY_KEY": server.keys[scope] if key is None else key,
            "UNDERSTUDY_STATE_DIR": str(tmp_path),
        }
        out = ("--out", str(tmp_path / "report.html"))
        return await asyncio.to_thread(CliRunner().invoke, app, [*arguments, *out], env=known)

    return run


@pytest_asyncio.fixture
async def page(command: Any, tmp_path: Path) -> Page:
    ran = await command(*WEEK)
    assert ran.exit_code == 0, ran.stderr
    assert "2026-11-14 12:00 to 2026-11-21 12:00 UTC, 3,6" in ran.stdout
    return Page((tmp_path / "report.html").read_text())


async def test_the_page_says_what_each_arm_did(page: Page, store: Store) -> None:
    expected: dict[str, int] = {}
    for one in await store.windows("default", since=BEGIN):
        if one.kind == "primary":
            key = str(one.release)
            expected[key] = expected.get(key, 0) + sum(one.codes.values())
    for key in (TEACHER, FIRST, SECOND):
        assert page.row(key.model, str(key))[2] == f"{expected[str(key)]:,}"

    first = dict(zip(page.row("Arm", "Release"), page.row("student", "student-1.0"), strict=True))
    assert first["Answered"] == "96.03%"
    assert (first["Agreement"], first["Overlap"]) == ("88.0%", "90.0%")
    assert first["p50"].endswith(" ms")
    teacher = dict(zip(page.row("Arm", "Release"), page.row("teacher", "teacher-1.0"), strict=True))
    assert teacher["Stood in"] == first["Failed"] != "0"
    assert teacher["Answered"] == "100.00%"


async def test_it_says_what_was_moved_and_by_whom_and_why(page: Page) -> None:
    assert page.row("2026-11-16 16:00", "default") == [
        "2026-11-16 16:00",
        "default",
        "4",
        "teacher 75% → 100% (teacher-1.0), student 25% → 0% (student-1.0)",
        "rollout 3f9c2a1b",
        "rolls back: errors above the limit",
    ]
    assert page.row("2026-11-18 06:00")[3:5] == [
        "teacher 100% (teacher-1.0), student 0% (student-1.0 → student-1.1)",
        "ben",
    ]
    text = " ".join(page.words)
    assert "Rolled back for errors: +4.10% seen over 112 cameras, the limit is +0.50%." in text
    breach = page.row("25%", "errors", "+4.10%")
    assert breach[-1] == "breach"
    assert page.row("2026-11-17 10:00") == [
        *("2026-11-17 10:00", "student-1.1", "failed to deploy", "ben"),
        "golden frame 2: no box at (10, 12)",
    ]
    assert page.row("2026-11-18 16:00")[1:4] == ["0123456789ab", "key.create", "ann"]


async def test_names_are_shown_and_never_obeyed(page: Page) -> None:
    assert "".join(page.words).count(SCRIPT) >= 4
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "link", "iframe", "object"}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert not {"src", "href"} & set(attributes)


async def test_it_is_one_file_that_loads_nothing(page: Page, tmp_path: Path) -> None:
    text = (tmp_path / "report.html").read_text()
    assert not re.search(r"url\(|@import|https?://(?!127\.0\.0\.1)", text)
    assert "default-src 'none'" in text
    assert [tag for tag, _ in page.tags].count("svg") >= 6


async def test_charts_have_each_side_and_each_event(page: Page) -> None:
    named = [values["aria-label"] or "" for tag, values in page.tags if "aria-label" in values]
    assert [name.partition(":")[0] for name in named] == [
        "Frames a second",
        "Weight",
        "Latency p50, ms",
        "Latency p99, ms",
        "Failed, % of the arm's frames",
        "Agreement of the shadow (F1), %",
    ]
    assert "student · student-1.0; " in named[0] or named[0].endswith("student · student-1.0")
    kinds = [values["class"] for tag, values in page.tags if tag == "line" and "class" in values]
    assert (kinds.count("mark rollback"), kinds.count("mark deploy")) == (6, 12)
    assert kinds.count("mark change") == 6 * 5


async def test_it_names_no_camera_and_tells_no_password(command: Any, tmp_path: Path) -> None:
    ran = await command(*WEEK)
    assert ran.exit_code == 0, ran.stderr
    text = (tmp_path / "report.html").read_text()
    assert CAMERA not in text
    assert "Cameras were described or forgotten 2 times; this page names none." in text


async def test_a_password_in_the_address_stays_there(
    command: Any, server: Server, tmp_path: Path
) -> None:
    url = server.url.replace("//", "//ops:hunter2@")
    twice = await command(*WEEK, "--url", url)
    told = " ".join(twice.stderr.split())
    assert twice.exit_code == 1
    assert "has a password, and UNDERSTUDY_KEY is set" in told

    refused = await command(*WEEK, "--url", url, key="")
    assert refused.exit_code == 1
    away = await command(*WEEK, "--url", "http://ops:hunter2@127.0.0.1:9", key="")
    assert "no server answers at http://127.0.0.1:9 " in " ".join(away.stderr.split())
    unread = await command(*WEEK, "--url", "http://ops:hunter2/@127.0.0.1:9", key="")
    assert "the address of http://127.0.0.1:9 cannot be read" in " ".join(unread.stderr.split())
    for ran in (twice, refused, away, unread):
        assert "hunter2" not in ran.output


async def test_a_shorter_time_holds_its_part_alone(command: Any, tmp_path: Path) -> None:
    ran = await command("--since", "24h", "--until", END.isoformat())
    assert ran.exit_code == 0, ran.stderr
    page = Page((tmp_path / "report.html").read_text())
    text = " ".join(page.words)
    assert "None was under way." in text
    assert "The routes stood as they were." in text
    assert page.row("student", "student-1.1")[3] == "100.00%"
    assert not [row for row in page.rows if "student-1.0" in row]


async def test_an_empty_time_says_so(command: Any, tmp_path: Path) -> None:
    before = (BEGIN - timedelta(hours=300)).isoformat()
    ran = await command("--since", "1h", "--until", before)
    assert ran.exit_code == 0, ran.stderr
    text = (tmp_path / "report.html").read_text()
    assert "Traffic is kept for 30 days" not in text
    assert "No route was set, and of no frame is anything known in this period." in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "yesterday"), "a time reads 7d, 12h, 2026-11-21 or 2026-11-21T08:00 (UTC)"),
        (("--since", "40d"), "a report is of 60 s to 31 days"),
        (("--since", "2026-11-21", "--until", "2026-11-20"), "a report is of 60 s to 31 days"),
        (("--since", "1d", "--until", "soon"), "soon: a time reads"),
        (("--since", "0001-01-01T00:00+14:00"), "0001-01-01T00:00+14:00: a time reads"),
    ],
)
async def test_what_is_no_time_is_refused_with_how_to_write_one(
    command: Any, arguments: tuple[str, ...], said: str
) -> None:
    ran = await command(*arguments)
    assert ran.exit_code == 2
    assert said in re.sub(r"[\s│]+", " ", ran.stderr)


async def test_it_asks_for_a_key_of_scope_operate(command: Any, tmp_path: Path) -> None:
    ran = await command(*WEEK, scope=Scope.DETECT)
    assert ran.exit_code == 1
    assert "has scope detect; this needs operate" in ran.stderr.replace("\n", " ")
    assert not (tmp_path / "report.html").exists()


async def test_a_page_that_cannot_be_written_is_named(command: Any, tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    ran = await command(*WEEK)
    assert ran.exit_code == 1
    assert "cannot be written: Is a directory" in ran.stderr.replace("\n", " ")


async def test_the_api_takes_two_days_a_call_and_names_the_limit(server: Server) -> None:
    import httpx

    key = {"Authorization": f"Bearer {server.keys[Scope.OPERATE]}"}

    async def asked(since: datetime, until: datetime, step_s: int) -> dict[str, str]:
        span = {"since": since.isoformat(), "until": until.isoformat(), "step_s": str(step_s)}
        async with httpx.AsyncClient(base_url=server.url, headers=key) as client:
            reply = await client.get("/admin/v1/period/traffic", params=span)
        assert reply.status_code == 400
        return dict(reply.json()["error"])

    long = await asked(BEGIN, BEGIN + timedelta(days=3), 3600)
    assert (long["field"], long["code"]) == ("until", "invalid_field")
    many = await asked(BEGIN, BEGIN + timedelta(days=1), 5)
    assert many["field"] == "step_s"
    backwards = await asked(END, BEGIN, 3600)
    assert backwards["field"] == "until"
    none = await asked(datetime.fromisoformat("0001-01-01T00:00+14:00"), END, 3600)
    assert (none["field"], none["code"]) == ("since", "invalid_field")
