"""A control plane on its own store and model store, before the shared TorchServe."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.controlplane.archives import ArchiveStore
from serving.controlplane.controller import Controller
from serving.store.store import Store, open_store


@dataclass
class Plane:
    """What a test of the control plane holds.

    Attributes:
        store: Its own.
        controller: Of the deployment.
        model_store: Where `build` puts archives.
        build: Builds an archive there; see `ArchiveBuilder.build`.
        archives: Private copies.
        backend: The TorchServe.
    """

    store: Store
    controller: Controller
    model_store: Path
    build: Callable[..., Path]
    archives: ArchiveStore
    backend: Any


@asynccontextmanager
async def open_plane(
    folder: Path, backend: Any, builder: Any, *, silent_after_s: float = 30.0
) -> AsyncIterator[Plane]:
    """Open a control plane on `folder`; a second time on the same folder takes up the first."""
    model_store = folder / "model_store"
    model_store.mkdir(exist_ok=True)
    copies = ArchiveStore(
        backend.server.config.archives,
        model_store=model_store,
        trusted_keys=[builder.public_key],
    )

    def build(*args: Any, **options: Any) -> Path:
        path: Path = builder.build(model_store, *args, **options)
        return path

    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(f"sqlite+aiosqlite:///{folder}/store"))
        controller = await stack.enter_async_context(
            Controller(
                store,
                copies,
                backend.management,
                backend.inference,
                silent_after_s=silent_after_s,
            )
        )
        yield Plane(store, controller, model_store, build, copies, backend)
