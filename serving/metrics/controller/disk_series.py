"""Series of the disks that the deployment writes to, and of its store's file."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge


@dataclass(frozen=True)
class Places:
    """Where a deployment writes.

    Attributes:
        folders: By the name that the series give them.
        store: SQLite's file; None where the store is a server's.
    """

    folders: Mapping[str, Path]
    store: Path | None


@dataclass(frozen=True)
class DiskUse:
    """Bytes.

    Attributes:
        sizes: Of the disk below each folder.
        free: What of it can be written yet.
        store: The store's files; None where it has none.
    """

    sizes: Mapping[str, int]
    free: Mapping[str, int]
    store: int | None


def used(places: Places) -> DiskUse:
    """Look at the disks; blocks. A folder that is not there yet is left out."""
    sizes, free = {}, {}
    for name, folder in places.folders.items():
        with suppress(OSError):
            found = shutil.disk_usage(folder)
            sizes[name], free[name] = found.total, found.free
    return DiskUse(sizes, free, None if places.store is None else _size(places.store))


def _size(store: Path) -> int:
    """Return the bytes of SQLite's file and of what it has not written back yet."""
    total = 0
    for path in (store, store.with_name(f"{store.name}-wal")):
        with suppress(OSError):
            total += path.stat().st_size
    return total


class DiskSeries:
    """How full the disks are.

    Args:
        registry: Of the process.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._size = Gauge(
            "understudy_disk_size_bytes",
            "Of the disk below a folder",
            ("folder",),
            registry=registry,
        )
        self._free = Gauge(
            "understudy_disk_free_bytes",
            "What can be written yet to the disk below a folder",
            ("folder",),
            registry=registry,
        )
        self._store = Gauge(
            "understudy_store_size_bytes",
            "SQLite's files; 0 where the store is a server's",
            registry=registry,
        )

    def show(self, use: DiskUse) -> None:
        """Show the disks as they are, and no others."""
        for gauge, values in ((self._size, use.sizes), (self._free, use.free)):
            gauge.clear()
            for folder, value in values.items():
                gauge.labels(folder).set(value)
        self._store.set(use.store or 0)
