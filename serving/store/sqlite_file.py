"""SQLite's file as the connections know it: theirs is the one that is there now, or none is.

A file that is deleted under its connections lives on for them alone, and a new connection would
make an empty one in its place: what is written then is lost at the next start, and nobody is told.
"""

from pathlib import Path
from urllib.parse import quote

from sqlalchemy.engine import Dialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

_WHICH = "sqlite_file"


class SqliteFile:
    """One engine's file.

    Args:
        path: Where it lies.
        create: Whether the first connection makes it where it is missing; no later one does.
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        self._path = path
        self._create = create

    def name(
        self, _dialect: Dialect, _record: object, args: list[object], named: dict[str, object]
    ) -> None:
        """Have a connection that must find the file open it and not make it."""
        if not self._create:
            args[0] = f"file:{quote(str(self._path))}?mode=rw"
            named["uri"] = True

    def remember(self, _connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        """Note which file a new connection has opened."""
        record.info[_WHICH] = self._which()
        self._create = False

    def must_be_the_same(
        self, _connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object
    ) -> None:
        """Check a connection that is used again.

        Raises:
            DisconnectionError: Its file was deleted or replaced; the pool then opens another.
        """
        if record.info.get(_WHICH) != self._which():
            raise DisconnectionError(f"{self._path} is another file than it was, or gone")

    def _which(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino
