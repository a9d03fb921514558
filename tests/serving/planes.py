"""A control plane on its own store and model store, before one or more shared TorchServes."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.controlplane.archives import ArchiveStore
from serving.controlplane.controller import Controller
from serving.store.store import Store, open_store
from serving.torchserve.backend import Backend


@dataclass
class Plane:
    """What a test of the control plane holds.

    Attributes:
        store: Its own.
        controller: Of the deployment.
        model_store: Where `build` puts archives.
        build: Builds an archive there; see `ArchiveBuilder.build`.
        archives: Private copies.
        backends: The TorchServes.
    """

    store: Store
    controller: Controller
    model_store: Path
    build: Callable[..., Path]
    archives: ArchiveStore
    backends: Sequence[Any]

    @property
    def backend(self) -> Any:
        """The first TorchServe."""
        return self.backends[0]


def kept(backends: Sequence[Any]) -> list[Backend]:
    """Return running TorchServes as a controller takes them: "backend-0" and so on."""
    return [
        one
        if isinstance(one, Backend)
        else Backend(f"backend-{place}", one.inference, one.management, one.server.config.choices)
        for place, one in enumerate(backends)
    ]


@asynccontextmanager
async def open_plane(
    folder: Path,
    backends: Sequence[Any],
    builder: Any,
    *,
    holder: str = "test",
    **options: Any,
) -> AsyncIterator[Plane]:
    """Open a control plane on `folder`; a second time on the same folder takes up the first.

    Args:
        folder: Of the store and the model store.
        backends: Running TorchServes that load from one folder; the controller's own kind is taken
            as it is.
        builder: Builds archives.
        holder: See `Controller`.
        options: Of the `Controller`.
    """
    model_store = folder / "model_store"
    model_store.mkdir(exist_ok=True)
    copies = ArchiveStore(
        backends[0].server.config.archives,
        model_store=model_store,
        trusted_keys=[builder.public_key],
    )

    def build(*args: Any, **options: Any) -> Path:
        path: Path = builder.build(model_store, *args, **options)
        return path

    known = {"silent_after_s": 30.0} | options
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(f"sqlite+aiosqlite:///{folder}/store"))
        controller = await stack.enter_async_context(
            Controller(store, copies, kept(backends), holder=holder, **known)
        )
        await controller.taken_up()
        yield Plane(store, controller, model_store, build, copies, backends)
