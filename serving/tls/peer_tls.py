"""How gateways and controllers speak to workers on other machines."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog

from serving.errors import ConfigurationError
from serving.tls.client_tls import ClientTls
from serving.tls.server_tls import LOOK_S

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class PeerTls:
    """What a client over HTTP hands aiohttp.

    Attributes:
        context: Over https, whom to trust and who we are; None: whom this machine trusts.
        name: That the worker's certificate must hold; None: the host that the address names.
    """

    context: ssl.SSLContext | None = None
    name: str | None = None

    def connector(self, **options: Any) -> aiohttp.TCPConnector:
        """Return a new connector; `options` are aiohttp's."""
        return aiohttp.TCPConnector(ssl=self.context or True, **options)


IN_CLEAR = PeerTls()


@asynccontextmanager
async def opened_peer_tls(
    files: ClientTls | None, name: str | None, *, look_s: float = LOOK_S
) -> AsyncIterator[PeerTls]:
    """Read the files, and take up new ones until the block ends; what is connected goes on.

    Args:
        files: None: workers are spoken to in clear.
        name: See `PeerTls`.
        look_s: Seconds between two looks at the files.

    Raises:
        ConfigurationError: A file cannot be used.
    """
    if files is None:
        yield IN_CLEAR
        return
    seen, context = files.look(), files.context()
    following = asyncio.create_task(_follow(files, context, seen, look_s))
    try:
        yield PeerTls(context, name)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def _follow(files: ClientTls, context: ssl.SSLContext, seen: object, look_s: float) -> None:
    while True:
        await asyncio.sleep(look_s)
        found = files.look()
        if found is None or found == seen:
            continue
        seen = found
        try:
            await asyncio.to_thread(files.context)  # only what fits together is taken up
            files.load_into(context)
        except (ConfigurationError, OSError) as error:
            _log.error("certificate_not_renewed", error=str(error))
        else:
            _log.info("certificate_renewed", of="client")
