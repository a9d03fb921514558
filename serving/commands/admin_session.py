"""What every operator's command begins with: the admin API, opened, and its refusals told."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import typer
from pydantic import ValidationError

from serving.admin_client import AdminClient, AdminError, find_key
from serving.commands.server import Server
from serving.commands.telling import tell_error
from serving.errors import ConfigurationError
from serving.settings import Settings, explain


@contextmanager
def admin_session(server: Server) -> Iterator[AdminClient]:
    """Open the admin API, and end the command with one red message when it refuses."""
    try:
        key = find_key(server.url, _settings().state_dir)
        with AdminClient(server.url, key, tls=server.tls()) as client:
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
