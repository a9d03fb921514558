"""The Open Inference Protocol, served once for a whole run."""

from contextlib import AsyncExitStack

from fuzz import asgi
from v2_server import serving_v2


class _Once:
    """What a target holds for as long as its process lives.

    Attributes:
        served: See `serving_v2`.
        app: The application behind its REST client.
    """

    def __init__(self) -> None:
        self._open = AsyncExitStack()
        self.served = asgi.wait_for(self._open.enter_async_context(serving_v2()))
        self.app = self.served.http._transport.app


served = _Once()


def asks_for_a_bug(data: bytes) -> bool:
    """Whether it holds the one image that the stand-in behind answers with a bug of its own."""
    return b"broken" in data or b"YnJva2Vu" in data
