"""The deployment in a line: who leads, which gateways are heard, what each backend has ready."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from serving.console.snapshot import Snapshot
from serving.words import count, listed

# A gateway beats twice a second; a row that is older than a day is forgotten by the store.
_HEARD_WITHIN = timedelta(seconds=5)


@dataclass(frozen=True)
class Part:
    """One part, as a reader takes it in.

    Attributes:
        name: What it is: "Gateways".
        words: How it is.
        is_well: Whether nobody need look.
    """

    name: str
    words: str
    is_well: bool


def deployment_now(seen: Snapshot, backends: Sequence[str], *, leads: bool) -> tuple[Part, ...]:
    """Return the deployment's parts.

    Args:
        seen: The deployment.
        backends: All there are, by name.
        leads: Whether the controller that tells this one leads.
    """
    return _controller(seen, leads), _gateways(seen), _backends(seen, backends)


def _controller(seen: Snapshot, leads: bool) -> Part:
    if leads:
        return Part("Controller", "this one leads", True)
    lease = seen.lease
    if lease is None or not lease.holder or lease.expires <= seen.now:
        return Part("Controller", "none leads now: nothing can be changed", False)
    return Part("Controller", f"{lease.holder} leads, not this one: change things there", False)


def _gateways(seen: Snapshot) -> Part:
    heard = [one for one in seen.gateways if seen.now - one.heartbeat <= _HEARD_WITHIN]
    silent = [one.id for one in seen.gateways if one not in heard]
    behind = [one.id for one in heard if one.revision < seen.desired.revision]
    words = [f"{len(heard)} heard"]
    words += [f"{listed(silent, most=3)} silent"] if silent else []
    words += [f"{listed(behind, most=3)} not yet at the newest revision"] if behind else []
    return Part("Gateways", "; ".join(words), bool(heard) and not silent and not behind)


def _backends(seen: Snapshot, backends: Sequence[str]) -> Part:
    ready = {name: sum(seen.desired.placements.get(name, {}).values()) for name in backends}
    idle = [name for name, workers in ready.items() if not workers]
    words = f"{len(ready) - len(idle)} with {count(sum(ready.values()), 'ready worker')}"
    if idle:
        words += f"; {listed(idle, most=3)} with none"
    return Part("Backends", words, bool(ready) and not idle)
