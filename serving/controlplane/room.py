"""Whether as many workers as a deploy asks for fit into the memory of their machines."""

import asyncio
from collections.abc import Sequence

import structlog

from proto.wire.v1 import card_pb2
from serving.controlplane.archives import Archive
from serving.controlplane.keeper import Keeper
from serving.controlplane.wanted import Wanted
from serving.errors import InvalidField
from serving.machine import memory_for_workers_bytes
from serving.store.values import AUTO

_log = structlog.get_logger(__name__)

_MIB = 1024**2
# Of a worker's own, beside the weights (decision 61).
_NEEDS_TORCH = "torchscript"
_WITH_TORCH_BYTES, _WITHOUT_TORCH_BYTES = 360 * _MIB, 120 * _MIB


def worker_bytes(card: card_pb2.Card, variant: str) -> int:
    """Return about how much memory a worker takes at least.

    Args:
        card: Of the archive.
        variant: One of the card's, or "auto": then the one that takes least.
    """
    return min(
        (_WITH_TORCH_BYTES if one.runtime == _NEEDS_TORCH else _WITHOUT_TORCH_BYTES)
        + one.file_bytes
        for one in card.variants
        if variant in {AUTO, one.name}
    )


async def must_fit(
    keepers: Sequence[Keeper], archive: Archive, wanted: Wanted, loaded: int = 0
) -> None:
    """Refuse more workers than a machine has free memory for; the first of a release is let be.

    A machine that does not answer, or whose door is older than the question, is not asked again.

    Args:
        keepers: Of the backends.
        archive: What is deployed.
        wanted: How; its variant is one of the card's.
        loaded: How many workers each backend has already.

    Raises:
        InvalidField: They do not fit; the message says how many would.
    """
    keepers = tuple(keepers)
    more, each_bytes = wanted.workers - loaded, worker_bytes(archive.card, wanted.variant)
    here = sum(not one.is_far for one in keepers)
    for keeper, free_bytes in zip(
        keepers, await asyncio.gather(*map(_free_bytes, keepers)), strict=True
    ):
        if free_bytes is None:
            _log.warning("memory_not_known", backend=keeper.name, workers=more)
            continue
        backends = 1 if keeper.is_far else here
        most = max(loaded or 1, loaded + free_bytes // (each_bytes * backends))
        if wanted.workers > most:
            asked = f"{more} more" if loaded else str(more)
            each = f"about {each_bytes // _MIB} MiB each"
            if backends > 1:
                each += f", on each of {backends} backends"
            raise InvalidField(
                "workers",
                f"workers: {asked} of {archive.key} do not fit into the memory of "
                f"{keeper.name}'s machine: {each}, and workers may take {free_bytes // _MIB} MiB "
                f"of what is free there; ask for at most {most}, retire what is not needed, or "
                "give it more memory",
            )


async def _free_bytes(keeper: Keeper) -> int | None:
    if keeper.silent_for_s():
        return None
    host = keeper.backend.host
    if host is None:
        return await asyncio.to_thread(memory_for_workers_bytes)
    return await host.memory_for_workers_bytes()
