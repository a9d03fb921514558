"""A contestant's turn: started, held against the reference, put under each load, ended."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bench.serve.answers import OTHER_PATH, SAME_PATH, Answer, hold_together
from bench.serve.bare_loop import run_loop
from bench.serve.contestants import FP32, LOOP, OURS, PEERS, TORCHSERVE, Contestant
from bench.serve.loading import Load, Pictures, ask_all, press
from bench.serve.our_servers import ours, torchserve_alone
from bench.serve.peer_servers import peer
from bench.serve.running import Running
from bench.serve.workplace import Workplace

# Enough to see that a server runs what it should; a probe asks about all of them.
_CHECKED_A_TURN = 4


@asynccontextmanager
async def started(
    contestant: Contestant, place: Workplace, variant: str | None
) -> AsyncIterator[Running]:
    """Run a contestant's server for as long as the block runs.

    Raises:
        PeerUnavailable: It cannot run on this machine.
        ServerFailed: It does not answer.
    """
    folder = place.scratch / contestant.server
    if contestant.server == OURS:
        entered = ours(contestant, place.made, variant, folder)
    elif contestant.server == TORCHSERVE:
        entered = torchserve_alone(contestant, place.made, variant, folder)
    else:
        entered = peer(contestant, place, variant)
    async with entered as running:
        yield running


async def turn(
    contestant: Contestant,
    place: Workplace,
    best: str | None,
    loads: Sequence[Load],
    *,
    check_all: bool = False,
) -> dict[str, Any]:
    """Measure a contestant under each load.

    Args:
        contestant: Who.
        place: What is served and sent.
        best: The archive's own choice of variant; None: it chooses now.
        loads: In this order.
        check_all: Compare the answers to all images before, not to a few.

    Returns:
        Figures by the load's key, and who answered.

    Raises:
        Mismatch: It answers otherwise than the reference does.
        PeerUnavailable: It cannot run on this machine.
        ServerFailed: It does not answer.
    """
    variant = place.variant_of(contestant, best)
    if contestant.server == LOOP:
        figures = {load.key: await run_loop(contestant, place, variant, load) for load in loads}
        return {"loads": figures, "variant": variant, "same_boxes": None}
    async with started(contestant, place, variant) as running:
        answers = await _checked(contestant, place, running, check_all=check_all)
        figures = {}
        for load in loads:
            pictures = _sent(contestant, place, load)
            figures[load.key] = await press(running, load, pictures, place.scratch / "load")
    return {"loads": figures, **answers}


def _sent(contestant: Contestant, place: Workplace, load: Load) -> Pictures:
    """Return what a load sends: what another model finds is no reference for this one."""
    pictures = place.pictures(load.images)
    return pictures if contestant.model == "n" else Pictures(pictures.images)


async def _checked(
    contestant: Contestant, place: Workplace, running: Running, *, check_all: bool
) -> dict[str, Any]:
    """Hold a server's answers against the reference's before anything is timed."""
    pictures = place.pictures()
    count = len(pictures.images) if check_all else _CHECKED_A_TURN
    found = await ask_all(running, pictures.images[:count])
    share = None
    if contestant.model == "n":
        own_graph = contestant.server in PEERS and contestant.path == FP32
        tolerance = SAME_PATH if own_graph else OTHER_PATH
        reference = pictures.reference[:count]
        share = hold_together(contestant.name, found, reference, tolerance, place.threshold)
    return {"variant": _variant(found), "same_boxes": share}


def _variant(answers: Sequence[Answer]) -> str | None:
    """Return which variant answered, None for a server that does not say."""
    who = Counter(one.who.partition(" ")[0] for one in answers)
    return who.most_common(1)[0][0] or None
