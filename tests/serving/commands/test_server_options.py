"""Operators' commands before an admin API that wants certificates."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio
import typer
from admin_server import AdminServer, open_admin
from certificates import Authority, Issued
from click.testing import Result
from typer.testing import CliRunner

from serving.commands.cameras import cameras_app
from serving.commands.key import key_app
from serving.store.store import Store
from serving.store.values import Scope
from serving.tls.server_tls import ServerTls

app = typer.Typer(rich_markup_mode="rich")
app.add_typer(key_app, name="key")
app.add_typer(cameras_app, name="cameras")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def ours(authority: Authority) -> Issued:
    return authority.issue("operator")


@pytest_asyncio.fixture
async def server(store: Store, authority: Authority) -> AsyncIterator[AdminServer]:
    """Trusts whom the authority signed, and asks everybody for a certificate."""
    tls = ServerTls(authority.files(authority.issue(), clients=True))
    async with open_admin(SimpleNamespace(store=store, controller=None), tls=tls) as opened:
        yield opened


async def run(server: AdminServer, *arguments: object, **environment: object) -> Result:
    """Run a command beside the loop that answers it."""
    known = {
        "COLUMNS": "80",
        "TERM": "dumb",
        "UNDERSTUDY_ADMIN_URL": server.url,
        "UNDERSTUDY_KEY": server.keys[Scope.ADMIN],
    }
    given = known | {name: str(value) for name, value in environment.items()}
    words = [str(one) for one in arguments]
    return await asyncio.to_thread(CliRunner().invoke, app, words, env=given)


@pytest.mark.parametrize("command", [("key", "list"), ("cameras", "list", "--group", "north")])
async def test_options_name_whom_to_trust_and_who_asks(
    server: AdminServer, authority: Authority, ours: Issued, command: tuple[str, ...]
) -> None:
    files = ("--ca", authority.file, "--cert", ours.cert, "--cert-key", ours.key)

    done = await run(server, *command, *files)

    assert done.exit_code == 0, done.output


async def test_the_environment_names_them_and_an_option_wins(
    server: AdminServer, authority: Authority, ours: Issued, tmp_path: Path
) -> None:
    environment = {
        "UNDERSTUDY_CA_FILE": authority.file,
        "UNDERSTUDY_CLIENT_CERT_FILE": ours.cert,
        "UNDERSTUDY_CLIENT_KEY_FILE": ours.key,
    }
    wrong = environment | {"UNDERSTUDY_CA_FILE": tmp_path / "no.pem"}

    assert (await run(server, "key", "list", **environment)).exit_code == 0
    assert (await run(server, "key", "list", **wrong)).exit_code == 1
    assert (await run(server, "key", "list", "--ca", authority.file, **wrong)).exit_code == 0


async def test_what_is_missing_is_named_with_its_option(
    server: AdminServer, authority: Authority, ours: Issued
) -> None:
    trusted = ("--ca", authority.file)

    strange = await run(server, "key", "list", UNDERSTUDY_CA_FILE="")
    nobody = await run(server, "key", "list", *trusted)
    half = await run(server, "key", "list", *trusted, "--cert", ours.cert)

    assert [one.exit_code for one in (strange, nobody, half)] == [1, 1, 1]
    assert "is not trusted" in strange.stderr
    assert "set UNDERSTUDY_CA_FILE (--ca) to" in strange.stderr
    assert "where it wants a client's certificate" in nobody.stderr
    assert "UNDERSTUDY_CLIENT_CERT_FILE (--cert) and" in nobody.stderr
    assert "and its key (UNDERSTUDY_CLIENT_KEY_FILE, --cert-key) are given" in half.stderr
