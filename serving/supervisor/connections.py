"""What a gateway and the controller both open: the store, the keys, every TorchServe."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from serving.access.authenticator import Authenticator
from serving.store.store import Store, open_store
from serving.supervisor.crew_places import far_place
from serving.supervisor.discovery import Discovery
from serving.supervisor.wiring import BackendPlace, Role, Wiring
from serving.tls.peer_tls import PeerTls, opened_peer_tls
from serving.torchserve.backend import Backend
from serving.torchserve.choices import Choices
from serving.torchserve.inference import InferenceClient
from serving.torchserve.management import ManagementClient
from serving.torchserve.roster import Roster
from serving.torchserve.tokens import Credential, NoToken, Token
from serving.torchserve.worker_host import WorkerHost
from serving.worker.worker_key import WorkerKey


@dataclass(frozen=True)
class Connections:
    """Open connections of one process.

    Attributes:
        store: Where the planes meet.
        authenticator: Checks keys.
        backends: Every TorchServe of the deployment, as of now.
    """

    store: Store
    authenticator: Authenticator
    backends: Roster


@asynccontextmanager
async def connected(
    wiring: Wiring, frame_headers: Callable[[], Mapping[str, str]] = dict
) -> AsyncIterator[Connections]:
    """Open what the wiring names; a TorchServe that is down now is one that will be up.

    Args:
        wiring: From the supervisor.
        frame_headers: Returns what a frame's request to a worker carries beside the frame.

    Raises:
        ConfigurationError: The store cannot be opened, or the workers' key or certificates cannot
            be read.
    """
    settings = wiring.settings
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            # The supervisor has made it and brought it up to date.
            open_store(settings.store_url, migrate=False, create=False)
        )
        several = len(wiring.backends)
        key = _worker_key(wiring)
        tls = await stack.enter_async_context(
            opened_peer_tls(settings.workers_tls, settings.workers_name)
        )
        backends = [
            await stack.enter_async_context(
                _far_backend(one, key, frame_headers, tls)
                if one.token_file is None
                else _backend(one, several, frame_headers)
            )
            for one in wiring.backends
        ]
        authenticator = Authenticator(store, enabled=wiring.settings.auth)
        discovery = Discovery(
            settings.worker_names,
            backends,
            lambda address: _far_backend(far_place(settings, address), key, frame_headers, tls),
        )
        roster = await stack.enter_async_context(discovery.running())
        yield Connections(store, authenticator, roster)


@asynccontextmanager
async def _backend(
    place: BackendPlace, several: int, frame_headers: Callable[[], Mapping[str, str]]
) -> AsyncIterator[Backend]:
    if place.token_file is None or place.choices is None:
        raise RuntimeError("a TorchServe of ours has a token file and a folder of choices")
    token = Token(place.token_file, "inference")
    async with (
        InferenceClient(place.inference_url, token, frame_headers) as inference,
        ManagementClient(place.management_url, Token(place.token_file, "management")) as management,
    ):
        yield Backend(place.name, inference, management, Choices(place.choices, several))


@asynccontextmanager
async def _far_backend(
    place: BackendPlace,
    key: Credential,
    frame_headers: Callable[[], Mapping[str, str]],
    tls: PeerTls,
) -> AsyncIterator[Backend]:
    async with (
        InferenceClient(place.inference_url, NoToken(), frame_headers, tls) as inference,
        ManagementClient(place.management_url, key, tls=tls) as management,
        WorkerHost(place.management_url, key, tls) as host,
    ):
        yield Backend(place.name, inference, management, host=host)


def _worker_key(wiring: Wiring) -> Credential:
    """Return what opens the workers' doors: gateways are not given it."""
    if not wiring.settings.workers or wiring.role is Role.GATEWAY:
        return NoToken()
    return WorkerKey.read(wiring.settings.worker_key_file)
