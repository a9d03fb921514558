"""Connections to the same service at one or several addresses.

One address may be shared by several gateways, each connection going to one of them; so after a
failure the next attempt gets a new connection even where there is no other address.
"""

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from serving.errors import BackendUnavailable

Connection = TypeVar("Connection")

# An address that failed is tried last for so long.
_SHUNNED_S = 5.0


@dataclass(eq=False)
class Line(Generic[Connection]):
    """A connection and who uses it.

    Attributes:
        address: Where it goes.
        connection: Of gRPC or HTTP; opened when it is first used.
        users: Calls under way on it.
        retired: Whether it is closed when its last user leaves.
    """

    address: str
    connection: Connection
    users: int = 0
    retired: bool = False


@dataclass
class _Place(Generic[Connection]):
    line: Line[Connection]
    failed_at: float = field(default=float("-inf"))

    @property
    def shunned(self) -> bool:
        return time.monotonic() - self.failed_at < _SHUNNED_S


class Lines(Generic[Connection]):
    """The addresses of a client and a connection to each; safe to use from many threads.

    Args:
        addresses: See `split`.
        open_line: Makes a connection to an address.
        close_line: Ends one; called from whichever thread leaves it last.
    """

    def __init__(
        self,
        addresses: Iterable[str],
        open_line: Callable[[str], Connection],
        close_line: Callable[[Connection], None],
    ) -> None:
        self._open_line = open_line
        self._close_line = close_line
        self._lock = threading.Lock()
        self._closed = False
        self._places = [_Place(Line(address, open_line(address))) for address in addresses]
        # Clients that start together do not all start with the same gateway.
        random.shuffle(self._places)

    def __len__(self) -> int:
        return len(self._places)

    @contextmanager
    def line(self, avoid: Collection[str] = ()) -> Iterator[Line[Connection]]:
        """Lend a line for a call: the idlest, of addresses to avoid or that failed lately last.

        Raises:
            BackendUnavailable: The client is closed.
        """
        line = self._lend(avoid)
        try:
            yield line
        finally:
            self._take_back(line)

    def failed(self, line: Line[Connection], *, shun: bool) -> None:
        """Give the line's address a new connection; calls under way on the old one go on.

        Args:
            line: On which a call failed.
            shun: Whether to try the address last for a while.
        """
        with self._lock:
            place = next(one for one in self._places if one.line.address == line.address)
            if shun:
                place.failed_at = time.monotonic()
            if place.line is line and not self._closed:
                place.line = Line(line.address, self._open_line(line.address))
                line.retired = True

    def close(self) -> None:
        """Close every connection, whoever uses it."""
        with self._lock:
            self._closed = True
            lines = [place.line for place in self._places]
        for line in lines:
            if not line.retired:
                line.retired = True
                self._close_line(line.connection)

    def _lend(self, avoid: Collection[str]) -> Line[Connection]:
        with self._lock:
            if self._closed:
                raise BackendUnavailable("the client is closed")
            place = min(
                self._places,
                key=lambda one: (one.line.address in avoid, one.shunned, one.line.users),
            )
            # The next one who finds all as idle as this gets another.
            self._places.remove(place)
            self._places.append(place)
            place.line.users += 1
            return place.line

    def _take_back(self, line: Line[Connection]) -> None:
        with self._lock:
            line.users -= 1
            last = line.retired and not line.users and not self._closed
        if last:
            self._close_line(line.connection)


def split(addresses: str | Iterable[str]) -> tuple[str, ...]:
    """Return the addresses of "HOST:PORT,HOST:PORT" or of a list of them.

    Raises:
        ValueError: There is none.
    """
    given = addresses.split(",") if isinstance(addresses, str) else addresses
    found = tuple(dict.fromkeys(one.strip().rstrip("/") for one in given if one.strip()))
    if not found:
        raise ValueError("no address: give HOST:PORT, or several separated by commas")
    return found
