"""Rollouts as an operator starts, watches and stops them: the commands before a real admin API."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from click.testing import Result
from fastapi import FastAPI
from rollout_fleet import BEFORE, RolloutFleet, Student
from typer.testing import CliRunner

from serving.access.authenticator import Authenticator
from serving.access.keys import mint
from serving.api.admin_rollouts import rollouts_router
from serving.api.http_errors import answer_errors
from serving.api.listening import bind, http_server
from serving.commands.rollout import rollout_app
from serving.controlplane.rollouts import Rollouts
from serving.store.store import open_store
from serving.store.values import Scope


@dataclass(frozen=True)
class RolloutServer:
    """A listening admin API for rollouts.

    Attributes:
        url: Where.
        keys: A key's text by its scope.
        fleet: The cameras before it.
        rollouts: Moves them when the test says so.
    """

    url: str
    keys: dict[Scope, str]
    fleet: RolloutFleet
    rollouts: Rollouts


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[RolloutServer]:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path / 'store'}") as store:
        fleet = RolloutFleet(store)
        await fleet.set_route(BEFORE, who="test", why="")
        await fleet.pass_windows(20)
        keys = {}
        for scope in Scope:
            key, keys[scope] = mint(f"the {scope} key", scope)
            await store.add_key(key)
        rollouts = fleet.rollouts()
        app = FastAPI()
        answer_errors(app)
        router = rollouts_router(lambda: rollouts, store, Authenticator(store))
        app.include_router(router, prefix="/admin/v1")
        listener = bind("127.0.0.1", 0, "admin_port")
        async with http_server(app, listener, stop_timeout_s=5):
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            yield RolloutServer(url, keys, fleet, rollouts)
        listener.close()


@pytest.fixture
def operator(server: RolloutServer, tmp_path: Path) -> Callable[..., Any]:
    """Runs a command beside the loop that answers it."""
    environment = {
        "COLUMNS": "80",
        "TERM": "dumb",
        "UNDERSTUDY_ADMIN_URL": server.url,
        "UNDERSTUDY_KEY": server.keys[Scope.OPERATE],
        "UNDERSTUDY_STATE_DIR": str(tmp_path),
    }

    async def command(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, rollout_app, arguments, env=environment)

    return command


async def test_an_operator_watches_a_rollout_roll_itself_back(
    server: RolloutServer, operator: Any
) -> None:
    server.fleet.student = Student(errors=0.1)

    none = await operator("show")
    started = await operator(
        *("start", "default", "student", "--stages", "25,50,100", "--hold", "60s"),
        *("--samples", "500", "--why", "first student"),
    )
    await server.fleet.run(server.rollouts, 30)
    (rollout,) = await server.fleet.store.rollouts(None, 1)
    listed = await operator("show")
    shown = await operator("show", rollout.id)
    newest = await operator("show", "default")

    assert "No rollout yet" in none.output
    assert started.exit_code == 0, started.output
    assert f"Rollout {rollout.id}: student of route default, running at 25%" in started.output
    assert "first student" in started.output
    assert "rolled back" in listed.output
    assert "the operate key" in listed.output
    assert newest.output == shown.output
    lines = [line.split() for line in shown.output.splitlines()]
    (breach,) = [line for line in lines if line and line[-1] == "breach"]
    assert breach[:2] == ["25%", "errors"]
    assert max(map(len, shown.output.splitlines())) <= 80
    assert "errors +" in shown.output


async def test_an_operator_pauses_resumes_and_ends_rollouts(
    server: RolloutServer, operator: Any
) -> None:
    await operator("start", "default", "student")
    (first,) = await server.fleet.store.rollouts(None, 1)

    paused = await operator("pause", first.id, "--why", "lunch")
    resumed = await operator("resume", first.id)
    cancelled = await operator("cancel", first.id)
    kept = await server.fleet.weights()
    again = await operator("cancel", first.id)
    await server.fleet.pass_windows(1)
    await operator("start", "default", "student", "--shadow-rate", "0.5")
    second = (await server.fleet.store.rollouts(None, 1))[0]
    back = await operator("cancel", second.id, "--rollback")

    assert "paused" in paused.output
    assert "lunch" in paused.output
    assert "running" in resumed.output
    assert "cancelled" in cancelled.output
    assert kept["student"] == 25
    assert again.exit_code == 1
    assert "has ended" in again.output
    assert "rolled back" in back.output


async def test_what_cannot_be_read_is_told(operator: Any) -> None:
    hold = await operator("start", "default", "student", "--hold", "5 parsecs")
    stages = await operator("start", "default", "student", "--stages", "10,x")
    falling = await operator("start", "default", "student", "--stages", "50,10")
    few = await operator("start", "default", "student", "--cameras", "3")
    arm = await operator("start", "default", "stage-hand")
    nobody = await operator("show", "nobody")

    assert "90s, 15m, 2h or 1d" in hold.output
    assert "10,50,100" in stages.output
    assert "they must rise" in falling.output
    assert "equal to 5" in few.output
    assert "no 'stage-hand'" in arm.output
    assert "no rollout 'nobody'" in nobody.output
    assert {one.exit_code for one in (falling, arm, nobody)} == {1}


async def test_everything_asks_for_a_key_of_scope_operate(server: RolloutServer) -> None:
    asked = [("GET", ""), ("POST", ""), ("GET", "/x")]
    asked += [("POST", f"/x/{what}") for what in ("pause", "resume", "cancel", "rollback")]

    async with httpx.AsyncClient(base_url=f"{server.url}/admin/v1") as client:
        for method, path in asked:
            nobody = await client.request(method, f"/rollouts{path}", json={})
            headers = {"Authorization": f"Bearer {server.keys[Scope.DETECT]}"}
            viewer = await client.request(method, f"/rollouts{path}", json={}, headers=headers)
            assert (nobody.status_code, viewer.status_code) == (401, 403)
