"""A change of a route has happened when the gateways send by it, not when it was written."""

import asyncio
from datetime import timedelta

import structlog

from serving.store.store import Store

_log = structlog.get_logger(__name__)

_POLL_S = 0.05
# Gateways look for a new revision ten times a second, and say at once that they have applied it.
_TIMEOUT_S = 2.0
# A gateway beats twice a second; one that has missed four is not waited for.
_SILENT_AFTER = timedelta(seconds=2)


async def propagated(store: Store, revision: int) -> bool:
    """Wait until every gateway that is heard has applied a revision, for two seconds at most.

    Args:
        store: Holds the gateways' heartbeats.
        revision: The one to wait for.

    Returns:
        Whether all have. One that has not will: it is only late.
    """
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            # Gateways write to the store and to nobody else: there is no event to await.
            while await _behind(store, revision):  # noqa: ASYNC110 - see above
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        _log.warning("route_not_applied_yet", revision=revision, by=await _behind(store, revision))
        return False
    return True


async def _behind(store: Store, revision: int) -> list[str]:
    return await store.gateways_behind(revision, heard_within=_SILENT_AFTER)
