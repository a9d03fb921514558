"""A release's workers: told how to serve it, then started."""

import asyncio

from serving.controlplane.archives import Archive
from serving.errors import WorkerFailed
from serving.store.values import AUTO, Release
from serving.torchserve.backend import Backend


async def register(backend: Backend, archive: Archive, release: Release) -> None:
    """Register a release in a TorchServe that does not know it; returns when its workers are ready.

    Args:
        backend: The TorchServe; it loads from the archive's folder.
        archive: Of the release.
        release: On how many workers it runs, and how.

    Raises:
        WorkerFailed: It did not load; in a worker's own words, where it has left any.
        BackendUnavailable: TorchServe, or its machine, cannot be reached.
    """
    card_sha256 = await ask(backend, archive, release)
    try:
        await backend.management.register(
            release.key,
            archive.path.name,
            workers=release.workers,
            batch_size=release.batch_size,
            batch_delay_ms=release.batch_delay_ms,
        )
    except WorkerFailed as error:
        raise WorkerFailed(await _fault(backend, card_sha256) or error.message) from error


async def ask(backend: Backend, archive: Archive, release: Release) -> str:
    """Tell the workers to come how to serve a release; returns its card's digest.

    Raises:
        WorkerFailed: Their machine, where it is another, refuses the archive.
        BackendUnavailable: It cannot be reached.
    """
    card_sha256 = await asyncio.to_thread(archive.card_sha256)
    if backend.host is not None:
        await backend.host.prepare(release)
    if backend.choices is not None:
        await asyncio.to_thread(
            backend.choices.ask,
            card_sha256,
            variant=None if release.variant == AUTO else release.variant,
            threads=release.threads,
            workers=release.workers,
        )
    return card_sha256


async def _fault(backend: Backend, card_sha256: str) -> str:
    """Return a worker's own words on why it did not load; "" where there are none."""
    if backend.host is not None:
        return await backend.host.fault(card_sha256)
    if backend.choices is None:
        return ""
    return await asyncio.to_thread(backend.choices.fault, card_sha256)
