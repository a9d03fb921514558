"""The commands as an operator types them, before a real admin API."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import typer
from admin_server import AdminServer, open_admin
from click.testing import Result
from typer.testing import CliRunner

from serving.commands.deploy import deploy
from serving.commands.key import key_app
from serving.commands.route import route_app
from serving.machine import Machine
from serving.store.values import ReleaseKey, Scope
from serving.tuning.deploy_settings import DeployOptions, DeploySettings

app = typer.Typer(rich_markup_mode="rich")
app.command()(deploy)
app.add_typer(route_app, name="route")
app.add_typer(key_app, name="key")

on_the_loop = pytest.mark.asyncio(loop_scope="session")


def run(*arguments: str, **environment: str) -> Result:
    variables = {"COLUMNS": "80", "TERM": "dumb", "UNDERSTUDY_ADMIN_URL": "http://127.0.0.1:1"}
    return CliRunner().invoke(app, arguments, env=variables | environment)


@pytest_asyncio.fixture(loop_scope="session")
async def server(plane: Any) -> AsyncIterator[AdminServer]:
    async with open_admin(plane) as opened:
        yield opened


@pytest.fixture
def operator(server: AdminServer, tmp_path: Path) -> Callable[..., Any]:
    """Runs a command as the holder of the admin key, beside the loop that answers it."""

    async def command(*arguments: str, **environment: str) -> Result:
        known = {
            "UNDERSTUDY_ADMIN_URL": server.url,
            "UNDERSTUDY_KEY": server.keys[Scope.ADMIN],
            "UNDERSTUDY_STATE_DIR": str(tmp_path),
        }
        return await asyncio.to_thread(run, *arguments, **(known | environment))

    return command


@pytest.mark.slow
@on_the_loop
async def test_an_operator_swaps_a_student_in_and_out(operator: Any, server: AdminServer) -> None:
    paths = [
        str(await asyncio.to_thread(server.plane.build, name, "1.0"))
        for name in ("teacher", "student")
    ]
    empty = await operator("route", "show")
    assert "No route yet" in empty.output
    assert "No release yet" in empty.output
    for path in paths:
        wrong = await operator("deploy", path, "--variant", "int4")
        assert wrong.exit_code == 1
        assert "has no 'int4'; its card lists onnxruntime-fp32" in wrong.stderr.replace("\n", " ")
        done = await operator("deploy", path, "--batch-size", "4", "--variant", "onnxruntime-fp32")
        assert done.exit_code == 0, done.output
    assert "student-1.0" in done.output
    assert "ready" in done.output
    assert "understudy route set default student=student-1.0:100" in done.output.replace("\n", " ")

    first = await operator("route", "set", "default", "teacher=teacher-1.0:100")
    assert first.exit_code == 0, first.output
    half = await operator(
        "route", "set", "default", "student=student-1.0:50", "teacher=50", "--why", "half"
    )
    assert half.exit_code == 0, half.output
    revision = (await server.plane.store.routes())["default"]
    # The teacher keeps its place, so that raising the student's weight moves cameras one way only.
    assert [arm.name for arm in revision.route.arms] == ["teacher", "student"]
    assert revision.why == "half"

    promoted = await operator("route", "promote", "default", "student")
    assert promoted.exit_code == 0
    assert "100%" in promoted.output
    back = await operator("route", "rollback", "default", "--why", "ghosts")
    assert back.exit_code == 0
    assert "rollback to revision 2: ghosts" in back.output
    there = "(teacher=teacher-1.0:0, student=student-1.0:100)"
    assert f"Rolling back again returns to revision 3 {there}" in back.output
    again = await operator("route", "rollback", "default")
    assert "rollback to revision 3" in again.output
    there = "(teacher=teacher-1.0:50, student=student-1.0:50)"
    assert f"Rolling back again returns to revision 4 {there}" in again.output
    path = await asyncio.to_thread(server.plane.build, "student", "1.1")
    third = await operator("deploy", str(path))
    hint = "route set default teacher=0 student=100 student-1.1=student-1.1:0"
    assert f"understudy {hint}\n" in third.output
    assert "`route set` replaces all arms" in third.output
    assert (await operator(*hint.split())).exit_code == 0
    alone = await operator("route", "set", "default", "student=100", "--sticky", "none")
    assert "The arm teacher left the route" in alone.output
    told = await operator("route", "history", "default", "--limit", "3")
    assert "student=student-1.0:100" in told.output
    shown = await operator("route", "show")
    assert "standby" in shown.output
    for result in (told, shown):  # the others hold the server's log, which is in this process
        assert [line for line in result.output.splitlines() if len(line) > 80] == []


@pytest.mark.slow
@on_the_loop
async def test_settings_of_a_file_are_deployed_but_an_option_wins(
    operator: Any, server: AdminServer, tmp_path: Path
) -> None:
    archive = str(await asyncio.to_thread(server.plane.build, "student", "1.0"))
    file = tmp_path / "tuned.yaml"
    options = DeployOptions(batch_size=2, batch_delay_ms=1, threads=1)
    elsewhere = Machine(cpu="another", architecture="x86_64", cores=3)
    DeploySettings(deploy=options, machine=elsewhere).write(file, "by a test")

    done = await operator("deploy", archive, "--settings", str(file), "--batch-size", "4")

    assert done.exit_code == 0, done.output
    said = done.output.replace("\n", " ")
    assert "warning: --settings: they were tuned on another kind of machine" in said
    deployed = await server.plane.store.release(ReleaseKey(model="student", version="1.0"))
    assert deployed is not None
    assert (deployed.batch_size, deployed.batch_delay_ms, deployed.threads) == (4, 1, 1)


def test_a_settings_file_that_is_none_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("deploy: {worker: 2}")

    refused = run("deploy", "student-1.0.mar", "--settings", str(file))

    assert refused.exit_code == 2
    assert "deploy.worker: Extra inputs are not permitted" in refused.stderr


@pytest.mark.slow
@on_the_loop
async def test_keys_are_made_listed_and_revoked(operator: Any) -> None:
    made = await operator("key", "create", "gate camera 3", "--days", "30")
    assert made.exit_code == 0, made.output
    text = made.stdout.strip()
    assert text.startswith("us_")
    assert "scope detect; it is not shown again" in made.stderr
    key_id = text.split("_")[1]
    listed = await operator("key", "list")
    assert key_id in listed.output
    assert text not in listed.output
    assert (await operator("key", "revoke", key_id)).output == f"revoked {key_id} (gate camera 3)\n"
    assert "revoked 2" in (await operator("key", "list")).output


@pytest.mark.slow
@on_the_loop
async def test_a_key_is_limited_and_rotated(operator: Any) -> None:
    made = await operator("key", "create", "recorder", "--frames-per-second", "50")
    key_id = made.stdout.split("_")[1]

    limited = await operator("key", "limit", key_id, "12.5")
    listed = await operator("key", "list")
    rotated = await operator("key", "rotate", key_id, "--grace", "7d")
    lifted = await operator("key", "limit", rotated.stdout.split("_")[1], "none")

    assert limited.stdout == f"{key_id} (recorder): 12.5 frames a second\n"
    assert "12.5" in listed.stdout
    assert rotated.stdout.startswith("us_")
    assert rotated.stdout.count("\n") == 1
    assert f"in place of {key_id}, which ends 20" in rotated.stderr
    assert lifted.stdout.endswith("(recorder): no limit\n")


@pytest.mark.slow
@on_the_loop
async def test_a_limit_and_a_grace_that_are_none_are_refused(operator: Any) -> None:
    key_id = (await operator("key", "create", "recorder")).stdout.split("_")[1]

    refused = [
        await operator("key", "limit", key_id, "many"),
        await operator("key", "limit", key_id, "0"),
        await operator("key", "rotate", key_id, "--grace", "soon"),
        await operator("key", "rotate", key_id, "--grace", "1000d"),
        await operator("key", "rotate", "0123456789ab"),
    ]

    assert all(one.exit_code for one in refused)
    says = ("neither a number", "greater than 0", "no time as in", "7776000", "no key")
    for one, said in zip(refused, says, strict=True):
        assert said in one.stderr, one.stderr


@pytest.mark.slow
@on_the_loop
async def test_refusals_end_the_command_with_what_to_do(
    operator: Any, server: AdminServer, tmp_path: Path
) -> None:
    refused = [
        (("route", "set", "default", "student"), "an arm reads NAME=WEIGHT"),
        (("route", "set", "default", "student=50"), "give it a release, as in"),
        (("route", "set", "default", "a=s-1:50", "a=s-1:50"), "named twice"),
        (("route", "set", "default", "a=s-1:1.2.3"), "1.2.3 is not a number"),
        (
            ("route", "set", "default", "a=s-1:150", "b=s-1:-50"),
            "a=s-1:150: the weight of the arm a is 150; it must be 0 to 100",
        ),
        (("route", "set", "default", "b=s-1:-50"), "the arm b is -50; it must be 0 to 100"),
        (
            ("route", "set", "default", "Teacher=s-1:100"),
            "the arm's name 'Teacher' must be 1 to 63 of a-z, 0-9, '.', '_', '-'",
        ),
        (
            ("route", "set", "Default!", "a=s-1:100"),
            "name: 'Default!' must be 1 to 63 of a-z, 0-9, '.', '_', '-'",
        ),
        (("route", "set", "default", "a=s-1:90"), "the weights sum to 90; they must sum to 100"),
        (("route", "set", "default", "a=s-1:100"), "s-1 was never deployed; deploy it first"),
        (("route", "promote", "default", "a"), "no route 'default'"),
        (("route", "rollback", "default"), "no route 'default'"),
        (("deploy", "absent-1.0.mar"), "no file absent-1.0.mar in the model store"),
        (("deploy", "/etc/passwd"), "not in the model store"),
        (("key", "revoke", "nobody"), "`understudy key list` shows them all"),
    ]
    for arguments, said in refused:
        result = await operator(*arguments)
        assert result.exit_code == 1, arguments
        assert said in result.stderr, (arguments, result.stderr)
        assert result.stderr.startswith("error: "), result.stderr
        assert result.stdout == ""

    weak = await operator("key", "list", UNDERSTUDY_KEY=server.keys[Scope.OPERATE])
    assert "has scope operate; this needs admin" in weak.stderr
    none = await operator("route", "show", UNDERSTUDY_KEY="")
    assert "set UNDERSTUDY_KEY to a key" in none.stderr
    (tmp_path / "admin.key").write_text(server.keys[Scope.ADMIN] + "\n")
    assert (await operator("route", "show", UNDERSTUDY_KEY="")).exit_code == 0


def test_a_setting_that_is_wrong_is_named_with_its_value() -> None:
    result = run("route", "show", UNDERSTUDY_HTTP_PORT="http")
    assert result.exit_code == 1
    assert "http_port (UNDERSTUDY_HTTP_PORT): Input should be a valid integer" in result.stderr
    assert "not 'http'" in result.stderr


def test_without_a_server_the_command_says_how_to_start_one() -> None:
    result = run("route", "show")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: no server answers at http://127.0.0.1:1")
    assert "understudy serve" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("deploy",),
        *(("route", name) for name in ("show", "set", "promote", "rollback", "history")),
        *(("key", name) for name in ("create", "revoke", "list")),
    ],
    ids=" ".join,
)
def test_every_help_has_an_example(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert f"understudy {' '.join(command)}" in result.output
    assert "Example" in result.output
