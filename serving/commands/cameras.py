"""The commands `understudy cameras ...`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from serving.admin_client import AdminClient
from serving.commands.admin_session import admin_session
from serving.commands.camera_csv import CameraRow, CsvRejected, read_cameras
from serving.commands.server import Server, asks_server
from serving.commands.tables import plain_table, when
from serving.commands.telling import tell_error

cameras_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="See the cameras that are known, and say what is expected of them.",
)

CameraId = Annotated[str, typer.Argument(metavar="ID", help="As in the camera's requests.")]


@cameras_app.command("list")
@asks_server
def list_cameras(
    group: Annotated[str | None, typer.Option(help="Only this group.")] = None,
    silent: Annotated[
        bool, typer.Option("--silent", help="Only those whose frames are expected and do not come.")
    ] = False,
    *,
    server: Server,
) -> None:
    """List the cameras that traffic or you have made known.

    [bold]Examples[/]

      understudy cameras list --silent

      understudy cameras list --group "north gate"
    """
    query: dict[str, Any] = {}
    if group is not None:
        query["group"] = group
    if silent:
        query["silent"] = "true"
    with admin_session(server) as admin:
        found = admin.call("GET", "/cameras", **query)
    console = Console()
    if found:
        console.print(_table(found))
    else:
        console.print("No camera: traffic makes cameras known by their camera_id.")


@cameras_app.command("set")
@asks_server
def set_camera(
    camera_id: CameraId,
    group: Annotated[str | None, typer.Option(help='Your word for where it is; "": none.')] = None,
    fps: Annotated[
        float | None, typer.Option(min=0, help="Frames a second that you expect; 0: none.")
    ] = None,
    note: Annotated[str | None, typer.Option(help='Your words on it; "": none.')] = None,
    *,
    server: Server,
) -> None:
    """Say what is expected of a camera; what you leave out stays as it is.

    [bold]Example[/]

      understudy cameras set gate-7 --group "north gate" --fps 12.5
    """
    given = {"group": group, "note": note, "expected_fps": fps}
    words: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if fps == 0:
        words["expected_fps"] = None
    with admin_session(server) as admin:
        body = _words(_known(admin).get(camera_id)) | words
        changed = admin.call("PUT", _path(camera_id), body)
    Console().print(_table([changed]))


@cameras_app.command("forget")
@asks_server
def forget_camera(camera_id: CameraId, *, server: Server) -> None:
    """Forget a camera; its next frame makes it known again.

    [bold]Example[/]

      understudy cameras forget gate-7
    """
    with admin_session(server) as admin:
        forgotten = admin.call("DELETE", _path(camera_id))
    typer.echo(f"forgot {forgotten['id']}")


@cameras_app.command("import")
@asks_server
def import_cameras(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV, UTF-8: its first line names the columns, id and any of group, "
            "expected_fps, note."
        ),
    ],
    *,
    server: Server,
) -> None:
    """Describe many cameras from a CSV file: all of them, or none when any line is wrong.

    Columns that the file does not have, and cameras that it does not name, stay as they are.

    [bold]Example[/]

      understudy cameras import cameras.csv
    """
    try:
        rows = read_cameras(file)
    except CsvRejected as error:
        tell_error(f"{error}\nNothing was changed.")
        raise typer.Exit(1) from error
    with admin_session(server) as admin:
        known = _known(admin)
        admin.call("PUT", "/cameras", [_described(row, known.get(row.id)) for row in rows])
    added = sum(row.id not in known for row in rows)
    typer.echo(f"{len(rows)} cameras described, {added} of them new")


def _known(admin: AdminClient) -> dict[str, Mapping[str, Any]]:
    return {one["id"]: one for one in admin.call("GET", "/cameras")}


def _words(known: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the operator's words on a camera as they stand."""
    present = known or {"group": "", "expected_fps": None, "note": ""}
    return {name: present[name] for name in ("group", "expected_fps", "note")}


def _described(row: CameraRow, known: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"id": row.id} | _words(known) | dict(row.words)


def _path(camera_id: str) -> str:
    return f"/cameras/{quote(camera_id, safe='')}"


def _table(found: Iterable[Mapping[str, Any]]) -> Table:
    table = plain_table("Camera", "Group", "Expected", "Last seen", "State", "Note")
    for one in found:
        fps = one["expected_fps"]
        table.add_row(
            escape(one["id"]),
            escape(one["group"]),
            "" if fps is None else f"{fps:g}/s",
            "never" if one["last_seen"] is None else when(one["last_seen"]),
            "[bold red]silent[/]" if one["silent"] else "",
            escape(one["note"]),
        )
    return table
