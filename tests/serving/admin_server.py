"""The admin API on a port, before a control plane of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from planes import Plane

from serving.access.authenticator import Authenticator
from serving.access.keys import mint
from serving.api.admin import admin_router
from serving.api.http_errors import answer_errors
from serving.api.listening import bind, http_server
from serving.store.values import Scope
from serving.tls.server_tls import ServerTls


@dataclass(frozen=True)
class AdminServer:
    """A listening admin API.

    Attributes:
        url: Where.
        keys: A key's text by its scope.
        plane: What it moves.
    """

    url: str
    keys: dict[Scope, str]
    plane: Plane


@asynccontextmanager
async def open_admin(plane: Any, tls: ServerTls | None = None) -> AsyncIterator[AdminServer]:
    """Serve a control plane's admin API, with a key of each scope; `tls`: over https."""
    keys: dict[Scope, str] = {}
    for scope in Scope:
        key, keys[scope] = mint(f"the {scope} key", scope)
        await plane.store.add_key(key)
    app = FastAPI()
    answer_errors(app)
    app.include_router(admin_router(plane.controller, plane.store, Authenticator(plane.store)))
    listener = bind("127.0.0.1", 0, "admin_port")
    scheme, context = ("http", None) if tls is None else ("https", tls.context)
    async with http_server(app, listener, stop_timeout_s=5, tls=context):
        yield AdminServer(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", keys, plane)
    listener.close()
