"""The command `understudy camera`."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def _addresses(given: str) -> str:
    from serving.client.lines import split

    try:
        return ",".join(split(given))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def camera(  # noqa: PLR0917 - Typer reads the options from the parameters
    source: Annotated[
        Path, typer.Option(help="A video, an image, or a folder of images; replayed once.")
    ],
    fps: Annotated[float, typer.Option(help="Frames a second to send.", min=0.1, max=120)] = 5.0,
    address: Annotated[
        str,
        typer.Option(
            help="HOST:PORT of a gateway's gRPC listener, grpcs://HOST:PORT where it speaks TLS; "
            "several are separated by commas.",
            callback=_addresses,
        ),
    ] = "127.0.0.1:8090",
    key: Annotated[
        str | None,
        typer.Option(
            envvar="UNDERSTUDY_KEY",
            help="API key; the local server's admin key when not given.",
            show_envvar=True,
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option(
            envvar="UNDERSTUDY_CA_FILE",
            help="PEM: who signed the gateways' certificates; what this machine trusts otherwise.",
        ),
    ] = None,
    cert: Annotated[
        Path | None,
        typer.Option(
            envvar="UNDERSTUDY_CLIENT_CERT_FILE", help="PEM: ours, for gateways that ask for one."
        ),
    ] = None,
    cert_key: Annotated[
        Path | None,
        typer.Option(envvar="UNDERSTUDY_CLIENT_KEY_FILE", help="PEM: its private key."),
    ] = None,
    camera_id: Annotated[str, typer.Option(help="Who we are; routes split by it.")] = "camera-0",
    frames: Annotated[int | None, typer.Option(help="Send at most so many frames.", min=1)] = None,
    output: Annotated[
        Path, typer.Option(help="Gets the video (.mp4) with the boxes drawn.")
    ] = Path("runs/camera.mp4"),
    min_score: Annotated[
        float | None, typer.Option(help="Lowest score to draw; else the card's.", min=0.001, max=1)
    ] = None,
) -> None:
    """Replay a video through the gateway over gRPC and draw what came back.

    Sends at the given rate over one stream, as a camera would: a video of 30 frames a second sent
    at 5 has every sixth frame sent. When a gateway goes away it connects again, to another where it
    knows several. The answers are drawn on the frames and written as a video that says who
    answered; a table of what came back ends it.

    Example:
        understudy camera --source $UNDERSTUDY_DATA/videos/car-detection.mp4
    """
    from serving.errors import BackendUnavailable, UnderstudyError
    from serving.tls.client_tls import ClientTls
    from understudy.camera.replay import Replay, SourceInvalid, replay

    console = Console()
    try:
        wanted = Replay(
            source=source,
            fps=fps,
            address=address,
            key=key or _local_admin_key(),
            camera_id=camera_id,
            frames=frames,
            output=output,
            min_score=min_score,
            tls=ClientTls(ca, cert, cert_key) if ca or cert or cert_key else None,
        )
        seen = asyncio.run(replay(wanted, console))
    except BackendUnavailable as error:
        console.print(f"[red]error:[/red] no gateway answers at {address}", highlight=False)
        if "://" in address:
            console.print(error.message, highlight=False, soft_wrap=True)
        console.print("start one with `understudy serve`, or give its --address", highlight=False)
        raise typer.Exit(1) from None
    except (UnderstudyError, SourceInvalid) as error:
        console.print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    seen.tell(console, output)
    if seen.failed:
        raise typer.Exit(1)


def _local_admin_key() -> str | None:
    """Return the key that a server of this user wrote on its first start, if there is one."""
    from serving.settings import Settings

    path = Settings().state_dir / "admin.key"
    return path.read_text(encoding="utf-8").strip() if os.access(path, os.R_OK) else None
