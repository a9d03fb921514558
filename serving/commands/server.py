"""The server that an operator's command asks: where it is, whom to trust and who the asker is."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from serving.admin_client import DEFAULT_URL, KEY_VARIABLE, URL_VARIABLE
from serving.tls import client_tls
from serving.tls.client_tls import ClientTls

_PANEL = "Server"


@dataclass(frozen=True)
class Server:
    """A controller's admin API.

    Attributes:
        url: Where it listens.
        ca: Who signed its certificate; None: who this machine trusts.
        cert: Ours, where it asks for one.
        cert_key: Its private key.
    """

    url: str
    ca: Path | None = None
    cert: Path | None = None
    cert_key: Path | None = None

    def tls(self) -> ClientTls:
        """Return what a client over https takes.

        Raises:
            ConfigurationError: A certificate without its key, or the other way round.
        """
        return ClientTls(self.ca, self.cert, self.cert_key)


def _options(
    *,
    url: Annotated[
        str,
        typer.Option(
            envvar=URL_VARIABLE,
            rich_help_panel=_PANEL,
            help=f"Where the admin API listens. The key is taken from {KEY_VARIABLE}, else from "
            "the file admin.key in the state folder of a server on this machine.",
        ),
    ] = DEFAULT_URL,
    ca: Annotated[
        Path | None,
        typer.Option(
            envvar=client_tls.CA_VARIABLE,
            rich_help_panel=_PANEL,
            help="PEM: who signed its certificate; who this machine trusts otherwise.",
        ),
    ] = None,
    cert: Annotated[
        Path | None,
        typer.Option(
            envvar=client_tls.CERT_VARIABLE,
            rich_help_panel=_PANEL,
            help="PEM: ours, where it asks for one.",
        ),
    ] = None,
    cert_key: Annotated[
        Path | None,
        typer.Option(
            envvar=client_tls.KEY_VARIABLE, rich_help_panel=_PANEL, help="PEM: its private key."
        ),
    ] = None,
) -> Server:
    return Server(url, ca, cert, cert_key)


def asks_server(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes a `server` the options that make it.

    Args:
        command: Has the parameter `server`, by its name alone.
    """
    options = inspect.signature(_options).parameters
    own = inspect.signature(command)

    @wraps(command)
    def asking(**given: Any) -> None:
        server = _options(**{name: given.pop(name) for name in options})
        command(**given, server=server)

    kept = [one for one in own.parameters.values() if one.name != "server"]
    # Typer reads the options from here.
    asking.__signature__ = own.replace(parameters=[*kept, *options.values()])  # type: ignore[attr-defined] # functions may have one
    hints = {one.name: one.annotation for one in (*kept, *options.values())}
    asking.__annotations__ = hints | {"return": None}
    return asking
