"""The command `understudy report`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from serving.commands.admin_session import admin_session
from serving.commands.report_arguments import read_period
from serving.commands.server import Server, asks_server
from serving.commands.telling import tell_error
from serving.whole_file import write_whole

_DEFAULT = Path("understudy-report.html")


@asks_server
def report(
    since: Annotated[
        str, typer.Option(help="Where it begins: 7d or 12h before its end, or a time (UTC).")
    ] = "7d",
    until: Annotated[
        str | None, typer.Option(help="Where it ends: a time, or 1d before now. \\[now]")
    ] = None,
    out: Annotated[Path, typer.Option(help="The page to write; replaced where it is.")] = _DEFAULT,
    *,
    server: Server,
) -> None:
    """Write one HTML page of a period: traffic, latency, agreement, swaps, rollbacks, who did what.

    The page is one file that loads nothing, for a browser or for paper. Traffic comes from the
    store's windows, which are kept for 30 days. It needs a key of scope operate.

    [bold]Examples[/]

      understudy report

      understudy report --since 24h --out yesterday.html

      understudy report --since 2026-11-01 --until 2026-11-08 --out week-45.html
    """
    # Here, so that other commands load no templates.
    from serving.report.gathered import gather  # noqa: PLC0415
    from serving.report.page import render  # noqa: PLC0415

    now = datetime.now(UTC)
    period = read_period(since, until, now)
    with admin_session(server) as admin, _progress() as progress:
        task = progress.add_task("adding up the windows", total=1.0)
        gathered = gather(admin, period, lambda share: progress.update(task, completed=share))
    page = render(gathered, url=server.url, at=now)
    try:
        write_whole(out, page, mode=0o644)
    except OSError as error:
        tell_error(f"{out} cannot be written: {error.strerror}")
        raise typer.Exit(1) from None
    frames = gathered.traffic.all.frames
    Console().print(
        f"{out}: {period.since:%Y-%m-%d %H:%M} to {period.until:%Y-%m-%d %H:%M} UTC, "
        f"{frames:,} frames, {len(gathered.changes())} route changes",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        console=Console(stderr=True),
        transient=True,
    )
