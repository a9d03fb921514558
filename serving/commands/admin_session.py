"""What every operator's command begins with: the admin API, opened, and its refusals told."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from serving.admin_client import KEY_VARIABLE, URL_VARIABLE, AdminClient, AdminError, find_key
from serving.commands.telling import tell_error
from serving.errors import ConfigurationError
from serving.settings import Settings, explain
from serving.tls.client_tls import CA_VARIABLE, ClientTls

Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar=URL_VARIABLE,
        help=f"Where the admin API listens. The key is taken from {KEY_VARIABLE}, else from the "
        "file admin.key in the state folder of a server on this machine. https:// trusts what "
        f"{CA_VARIABLE} holds, else what this machine trusts.",
    ),
]


@contextmanager
def admin_session(url: str) -> Iterator[AdminClient]:
    """Open the admin API, and end the command with one red message when it refuses."""
    try:
        key, tls = find_key(url, _settings().state_dir), ClientTls.of_environment()
        with AdminClient(url, key, tls=tls) as client:
            yield client
    except (AdminError, ConfigurationError) as error:
        tell_error(error.message)
        raise typer.Exit(1) from error


def present_route(admin: AdminClient, name: str) -> Mapping[str, Any] | None:
    """Return a route as the admin API tells it; None where there is none of that name."""
    found = [one for one in admin.call("GET", "/routes") if one["name"] == name]
    return found[0] if found else None


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        raise AdminError(explain(error)) from error
