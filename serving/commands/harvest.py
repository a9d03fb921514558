"""The commands `understudy harvest ...`: they work on the folder, with or without a server."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from serving.commands.telling import tell_error
from serving.dataplane.harvest_folder import HarvestedFrame, HarvestFolder, older_than

harvest_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="See and delete harvested frames: pictures on which two arms disagreed.",
)

Folder = Annotated[
    Path,
    typer.Argument(
        envvar="UNDERSTUDY_HARVEST_DIR", help="The harvest's folder.", show_default=False
    ),
]


@harvest_app.command("show")
def show(folder: Folder) -> None:
    """Show what is in the folder: how many frames, their size, the oldest and the newest.

    Each line is a data set that a job takes as `data: FOLDER/DATA-SET/data.yaml`.

    [bold]Example[/]

      understudy harvest show ~/.understudy/harvest
    """
    harvest = _opened(folder)
    frames = harvest.frames()
    table = Table("Data set", "Train", "Val", "Cameras", "MB", "Oldest", "Newest", box=None)
    for data_set in harvest.data_sets():
        inside = [frame for frame in frames if frame.data_set == data_set]
        table.add_row(data_set.name, *_described(inside))
    console = Console()
    console.print(table)
    console.print(
        f"{len(frames)} frames, {_megabytes(frames)} MB in {folder}. They show people and number "
        "plates: README.txt there says what to mind.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


@harvest_app.command("purge")
def purge(
    folder: Folder,
    camera: Annotated[
        list[str] | None,
        typer.Option(help="Frames of this camera; may be given more than once."),
    ] = None,
    older_than_days: Annotated[
        float | None, typer.Option(min=0, help="Frames from before so many days.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All frames.")] = False,
) -> None:
    """Delete frames for good: of a camera, of an age, or all. With both, only what is both.

    [bold]Examples[/]

      understudy harvest purge ~/.understudy/harvest --camera gate-7

      understudy harvest purge ~/.understudy/harvest --older-than-days 7
    """
    if everything == bool(camera or older_than_days is not None):
        tell_error("say what to delete: --camera ID, --older-than-days DAYS or both, or --all")
        raise typer.Exit(2)
    found = _opened(folder).frames()
    if older_than_days is not None:
        before = older_than(timedelta(days=older_than_days))
        found = [frame for frame in found if frame.at < before]
    unreadable = 0
    if camera:
        cameras = [frame.camera_id() for frame in found]
        unreadable = cameras.count(None)
        pairs = zip(found, cameras, strict=True)
        found = [frame for frame, its_camera in pairs if its_camera in camera]
    for frame in found:
        frame.remove()
    typer.echo(f"deleted {len(found)} frames, {_megabytes(found)} MB")
    if unreadable:
        tell_error(f"{unreadable} frames do not tell their camera any more; they were left")
        raise typer.Exit(1)


def _opened(folder: Path) -> HarvestFolder:
    if not folder.is_dir():
        tell_error(f"{folder} is not there: the harvest is off, or goes elsewhere")
        raise typer.Exit(1)
    return HarvestFolder(folder)


def _described(frames: Sequence[HarvestedFrame]) -> tuple[str, ...]:
    """Return a row, all but the data set's name; `frames` are sorted by time."""
    in_train = sum(frame.split == "train" for frame in frames)
    cameras = {frame.camera_id() for frame in frames} - {None, ""}
    oldest, newest = (_when(frames[0].at), _when(frames[-1].at)) if frames else ("", "")
    counts = (in_train, len(frames) - in_train, len(cameras))
    return (*map(str, counts), _megabytes(frames), oldest, newest)


def _megabytes(frames: Sequence[HarvestedFrame]) -> str:
    return f"{sum(frame.size_bytes for frame in frames) / 1e6:.1f}"


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
