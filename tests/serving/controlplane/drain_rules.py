"""The rules of the drain's protocol, each of which can be left out of its model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """Which rules are kept.

    Attributes:
        row_before_route: A gateway writes its row before it first reads the route.
        tells_what_it_applied: A heartbeat tells the revision that requests are sent by.
        counts_at_once: A request is counted in the stretch in which its route was read.
        fences_itself: A gateway sends nothing while its last heartbeat is older than its lease.
        reads_after_a_gap: After such a gap it reads the route before it sends.
        checks_epoch: A controller makes sure that it leads before it removes a release.
        acts_in_time: It removes nothing when its renewal of the lease took too long.
        waits_for_deadlines: A silent gateway is gone after its lease and the longest deadline.
        asks_revision: A drain waits for those that have not applied the new revision.
    """

    row_before_route: bool = True
    tells_what_it_applied: bool = True
    counts_at_once: bool = True
    fences_itself: bool = True
    reads_after_a_gap: bool = True
    checks_epoch: bool = True
    acts_in_time: bool = True
    waits_for_deadlines: bool = True
    asks_revision: bool = True
