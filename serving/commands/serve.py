"""The command `understudy serve`."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from serving.commands.telling import tell_error
from serving.errors import ConfigurationError
from serving.logs.styles import LogFormat, LogLevel
from serving.parts import Part
from serving.ready_file import Addresses
from serving.settings import Settings, explain, read_settings


def serve(  # noqa: PLR0917 - Typer reads the options from the parameters
    part: Annotated[
        Part | None,
        typer.Argument(
            help="One part of a deployment on several machines: gateway, controller or worker. "
            "\\[all]",
            show_default=False,
        ),
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option(help="Store, keys, private archives. [~/.understudy/serve]")
    ] = None,
    model_store: Annotated[
        Path | None, typer.Option(help="Where archives are deployed from. [./model_store]")
    ] = None,
    trusted_key: Annotated[
        list[Path] | None,
        typer.Option(
            help="Public key that may have signed an archive; may be given more than once. "
            "[~/.understudy/signing-key.pub.pem]"
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [127.0.0.1]")] = None,
    http_port: Annotated[
        int | None, typer.Option(help="Cameras over HTTP; 0: any free. [8080]", min=0, max=65535)
    ] = None,
    grpc_port: Annotated[
        int | None, typer.Option(help="Cameras over gRPC; 0: any free. [8090]", min=0, max=65535)
    ] = None,
    admin_port: Annotated[
        int | None, typer.Option(help="Operators; 0: any free. [8081]", min=0, max=65535)
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Prometheus; 0: any free. [8083]", min=0, max=65535)
    ] = None,
    gateways: Annotated[
        int | None,
        typer.Option(help="Processes that answer cameras, on the same ports. [1]", min=1, max=64),
    ] = None,
    backends: Annotated[
        int | None,
        typer.Option(help="TorchServe instances; each runs every release. [1]", min=1, max=16),
    ] = None,
    store_url: Annotated[
        str | None,
        typer.Option(
            help="Database, where it is not a file in the state folder: postgresql+psycopg://... "
            "A password is better given as UNDERSTUDY_STORE_URL."
        ),
    ] = None,
    harvest_dir: Annotated[
        Path | None,
        typer.Option(
            help="Keep frames here on which a route's arms disagree: images of people, perhaps; "
            "limits are in UNDERSTUDY_HARVEST_... \\[off]"
        ),
    ] = None,
    log_format: Annotated[
        LogFormat | None,
        typer.Option(
            help="How the log on standard error looks; auto: for people in a terminal, else JSON "
            "lines. \\[auto]"
        ),
    ] = None,
    log_level: Annotated[
        LogLevel | None, typer.Option(help="The least that the log says. \\[info]")
    ] = None,
    ready_file: Annotated[
        Path | None,
        typer.Option(help="Write the addresses here, as JSON, once everything listens."),
    ] = None,
    auth: Annotated[
        bool | None,
        typer.Option("--auth/--no-auth", help="--no-auth: nobody needs a key. [--auth]"),
    ] = None,
) -> None:
    """Start TorchServe, the controller and the gateways, and serve until SIGTERM or Ctrl-C.

    Each is a process of its own; one that dies is started again, and the others go on meanwhile.

    Every option is also an environment variable: UNDERSTUDY_HTTP_PORT, UNDERSTUDY_STATE_DIR... An
    option wins. The first start writes an admin key to STATE_DIR/admin.key, readable by you alone.

    Stopping answers what is under way first; a second Ctrl-C hurries.

    Example:
        understudy serve --http-port 0 --ready-file ready.json
    """
    given: dict[str, Any] = {
        "part": part,
        "state_dir": state_dir,
        "model_store": model_store,
        "trusted_keys": tuple(trusted_key) if trusted_key else None,
        "host": host,
        "http_port": http_port,
        "grpc_port": grpc_port,
        "admin_port": admin_port,
        "metrics_port": metrics_port,
        "gateways": gateways,
        "backends": backends,
        "store_url": store_url,
        "harvest_dir": harvest_dir,
        "log_format": log_format,
        "log_level": log_level,
        "ready_file": ready_file,
        "auth": auth,
    }
    try:
        _run(read_settings(**{name: one for name, one in given.items() if one is not None}))
    except ValidationError as error:
        tell_error(explain(error))
        raise typer.Exit(2) from None
    except ConfigurationError as error:
        tell_error(error.message)
        raise typer.Exit(1) from None


def _run(settings: Settings) -> None:
    # Here, so that `--help` needs no server.
    import uvloop  # noqa: PLC0415

    from serving.app import serve as serve_until_stopped  # noqa: PLC0415
    from serving.logs.lines import set_up_log  # noqa: PLC0415

    name = "worker" if settings.part is Part.WORKER else "supervisor"
    set_up_log(name, form=settings.log_format, level=settings.log_level)
    announce = partial(_announce, console=settings.console)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_until_stopped(settings, announce))


def _announce(addresses: Addresses, *, console: bool) -> None:
    metrics = (addresses.metrics_url, *addresses.torchserve_metrics_urls)
    lines = {
        "HTTP": addresses.http_url and f"{addresses.http_url}/v1/detect",
        "gRPC": addresses.grpc_address,
        "admin": addresses.admin_url,
        "console": console and addresses.admin_url and f"{addresses.admin_url}/console",
        "worker": addresses.worker_url,
        "metrics": " ".join(filter(None, metrics)),
        "key": addresses.admin_key_file,
    }
    typer.echo("\n".join(f"{name:<8} {told}" for name, told in lines.items() if told))


if __name__ == "__main__":
    typer.run(serve)
