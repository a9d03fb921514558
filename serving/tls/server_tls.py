"""The certificate that a process's listeners show: exchanged when its files are, nobody cut off.

A handshake takes the certificate of its moment; a connection that stands keeps on. New files are
read whole and checked before anything is exchanged: what does not fit together is not taken.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from serving.errors import ConfigurationError
from serving.tls.files import TlsFiles
from serving.tls.identity import CERT, Identity

_log = structlog.get_logger(__name__)

LOOK_S = 5.0
# With TLS 1.3's own these are all that gRPC offers, too: forward secrecy, authenticated.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class ServerTls:
    """A certificate and its successors.

    Args:
        files: Where they lie.
        changed: Called with each identity that is taken up, the first one too.
        failed: Called each time new files are not taken up.

    Attributes:
        identity: As of now.
        context: For listeners of asyncio; the same object for ever.

    Raises:
        ConfigurationError: The files cannot be used.
    """

    def __init__(
        self,
        files: TlsFiles,
        *,
        changed: Callable[[Identity], None] = lambda identity: None,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._files = files
        self._changed = changed
        self._failed = failed
        self._seen = _look(files)
        self.identity = Identity.read(files)
        self.context = self._current = _context(files, self.identity)
        self.context.sni_callback = self._exchange
        changed(self.identity)

    def renew(self) -> bool:
        """Take up the files if they have changed and fit together.

        Returns:
            Whether there is a new identity.
        """
        try:
            seen = self._files.look()
        except OSError:
            return False  # between the old file and the new
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            identity = Identity.read(self._files)
            identity.refuse_over()
            context = _context(self._files, identity)
        except ConfigurationError as error:
            self._failed()
            _log.error("certificate_not_renewed", error=error.message)
            return False
        self.identity, self._current = identity, context
        self._changed(identity)
        _log.info("certificate_renewed", ends=identity.ends["server"].isoformat())
        return True

    @asynccontextmanager
    async def followed(self, *, look_s: float = LOOK_S) -> AsyncIterator[None]:
        """Take up new files for as long as the block runs.

        Args:
            look_s: Seconds between two looks.
        """
        following = asyncio.create_task(self._follow(look_s))
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _follow(self, look_s: float) -> None:
        while True:
            await asyncio.sleep(look_s)
            await asyncio.to_thread(self.renew)

    def _exchange(
        self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _old: ssl.SSLContext
    ) -> None:
        """Give a handshake the newest certificate; it is called whether or not a name was sent."""
        connection.context = self._current


def _look(files: TlsFiles) -> object:
    try:
        return files.look()
    except OSError:
        return None  # which one is missing, `Identity.read` says


def _context(files: TlsFiles, identity: Identity) -> ssl.SSLContext:
    """Return what serves an identity.

    Raises:
        ConfigurationError: OpenSSL refuses it, or the files changed while they were read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.cert, files.key)
        if files.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(files.client_ca)
            # A resumed session would not show its certificate again.
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
        same = Identity.read(files) == identity
    except OSError as error:  # ssl.SSLError is one
        raise ConfigurationError(f"{CERT}: OpenSSL does not take {files.cert}: {error}") from error
    if not same:
        raise ConfigurationError(f"{CERT}: {files.cert} changed while it was read")
    return context
