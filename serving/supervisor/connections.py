"""What a gateway and the controller both open: the store, the keys, every TorchServe."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from serving.keys import Authenticator
from serving.store.store import Store, open_store
from serving.supervisor.wiring import BackendPlace, Wiring
from serving.torchserve.backend import Backend
from serving.torchserve.choices import Choices
from serving.torchserve.inference import InferenceClient
from serving.torchserve.management import ManagementClient
from serving.torchserve.tokens import Token


@dataclass(frozen=True)
class Connections:
    """Open connections of one process.

    Attributes:
        store: Where the planes meet.
        authenticator: Checks keys.
        backends: Every TorchServe of the deployment.
    """

    store: Store
    authenticator: Authenticator
    backends: tuple[Backend, ...]


@asynccontextmanager
async def connected(
    wiring: Wiring, frame_headers: Callable[[], Mapping[str, str]] = dict
) -> AsyncIterator[Connections]:
    """Open what the wiring names; a TorchServe that is down now is one that will be up.

    Args:
        wiring: From the supervisor.
        frame_headers: Returns what a frame's request to a worker carries beside the frame.

    Raises:
        ConfigurationError: The store cannot be opened.
    """
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(wiring.settings.store_url))
        several = len(wiring.backends)
        backends = [
            await stack.enter_async_context(_backend(one, several, frame_headers))
            for one in wiring.backends
        ]
        authenticator = Authenticator(store, enabled=wiring.settings.auth)
        yield Connections(store, authenticator, tuple(backends))


@asynccontextmanager
async def _backend(
    place: BackendPlace, several: int, frame_headers: Callable[[], Mapping[str, str]]
) -> AsyncIterator[Backend]:
    token = Token(place.token_file, "inference")
    async with (
        InferenceClient(place.inference_url, token, frame_headers) as inference,
        ManagementClient(place.management_url, Token(place.token_file, "management")) as management,
    ):
        yield Backend(place.name, inference, management, Choices(place.choices, several))
