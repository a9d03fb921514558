"""`understudy cameras` as an operator types it, before a real admin API and store."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest_asyncio
import typer
from admin_server import AdminServer, open_admin
from click.testing import Result
from typer.testing import CliRunner

from serving.commands.cameras import cameras_app
from serving.store.observations import Camera
from serving.store.store import Store
from serving.store.values import Scope

app = typer.Typer(rich_markup_mode="rich")
app.add_typer(cameras_app, name="cameras")


@pytest_asyncio.fixture
async def server(store: Store) -> AsyncIterator[AdminServer]:
    async with open_admin(SimpleNamespace(store=store, controller=None)) as opened:
        yield opened


async def run(server: AdminServer, *arguments: str) -> Result:
    """Run a command beside the loop that answers it."""
    environment = {
        "COLUMNS": "80",
        "TERM": "dumb",
        "UNDERSTUDY_ADMIN_URL": server.url,
        "UNDERSTUDY_KEY": server.keys[Scope.OPERATE],
    }
    return await asyncio.to_thread(
        CliRunner().invoke, app, ["cameras", *arguments], env=environment
    )


async def test_a_camera_is_set_listed_and_forgotten(server: AdminServer, store: Store) -> None:
    assert "No camera" in (await run(server, "list")).output

    first = await run(server, "set", "site/gate-7", "--group", "north [gate]", "--fps", "12.5")
    assert first.exit_code == 0, first.output
    await run(server, "set", "site/gate-7", "--note", "by the oak")
    assert await store.cameras() == [
        Camera(id="site/gate-7", group="north [gate]", expected_fps=12.5, note="by the oak")
    ]
    listed = (await run(server, "list", "--silent", "--group", "north [gate]")).output
    for word in ("site/gate-7", "north [gate]", "12.5/s", "never", "silent", "by the oak"):
        assert word in listed, listed
    await run(server, "set", "site/gate-7", "--fps", "0")
    assert "No camera" in (await run(server, "list", "--silent")).output

    forgotten = await run(server, "forget", "site/gate-7")
    assert forgotten.output == "forgot site/gate-7\n"
    unknown = await run(server, "forget", "site/gate-7")
    assert unknown.exit_code == 1
    assert "no camera 'site/gate-7' is known" in unknown.output


async def test_long_words_keep_to_80_columns(server: AdminServer, store: Store) -> None:
    camera = Camera(id="c" * 128, group="g" * 64, expected_fps=0.125, note="word " * 100)
    await store.put_camera(camera)
    await store.see_cameras({camera.id: await store.now()})

    listed = (await run(server, "list")).output

    assert max(map(len, listed.splitlines())) <= 80
    assert "".join(listed.split()).count("c") >= 128


async def test_a_file_is_imported_whole(server: AdminServer, store: Store, tmp_path: Path) -> None:
    await store.put_camera(Camera(id="a", group="old", note="kept"))
    file = tmp_path / "cameras.csv"
    file.write_text("id,group\na,new\nb,yard\n")

    done = await run(server, "import", str(file))

    assert done.output == "2 cameras described, 1 of them new\n"
    assert await store.cameras() == [
        Camera(id="a", group="new", note="kept"),
        Camera(id="b", group="yard"),
    ]


async def test_a_file_with_a_fault_changes_nothing(
    server: AdminServer, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "cameras.csv"
    file.write_text("id,expected_fps\na,5\nb,fast\n")

    refused = await run(server, "import", str(file))

    assert refused.exit_code == 1
    assert "cameras.csv:3: expected_fps: 'fast': " in refused.output
    assert "Nothing was changed." in refused.output
    assert await store.cameras() == []
