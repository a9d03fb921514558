"""When a gateway that says nothing counts as gone: a pure rule over its heartbeats' counter."""

from collections.abc import Iterable
from dataclasses import dataclass

from serving.store.values import GatewayStatus

GATEWAY_LEASE_S = 60.0
"""A gateway whose last heartbeat is older sends nothing before it has written another."""
LONGEST_DEADLINE_S = 120.0
"""Nobody waits longer for an answer."""
SILENT_AFTER_S = GATEWAY_LEASE_S + LONGEST_DEADLINE_S


@dataclass(frozen=True)
class _Heard:
    """A heartbeat and when it was first seen, seconds of the observer's clock."""

    beat: int
    first_seen_s: float


class Silence:
    """Watches gateways' heartbeats with the observer's own clock.

    Clocks of two machines are never compared: a gateway is silent for as long as its counter has
    stood still under the eyes of one observer, and a new observer begins anew.

    Args:
        silent_after_s: A gateway that stood still for this long counts as gone: it sends nothing
            since its own lease ended, and what it sent before is past its deadline.
    """

    def __init__(self, silent_after_s: float = SILENT_AFTER_S) -> None:
        self._silent_after_s = silent_after_s
        self._heard: dict[str, _Heard] = {}

    def observe(self, gateways: Iterable[GatewayStatus], answered_at_s: float) -> None:
        """Take note of all gateways there are; those that are no longer listed are forgotten.

        Args:
            gateways: All of them, as of one moment.
            answered_at_s: The observer's monotonic clock after they were read, seconds.
        """
        self._heard = {one.id: self._newest(one, answered_at_s) for one in gateways}

    def counted(
        self, gateways: Iterable[GatewayStatus], *, asked_at_s: float, answered_at_s: float
    ) -> list[GatewayStatus]:
        """Return those of some gateways that do not count as gone.

        Args:
            gateways: Some of them, as of one moment.
            asked_at_s: The observer's monotonic clock before they were read, seconds: until then,
                at least, one that has not moved was silent.
            answered_at_s: The same clock after they were read: one that has moved is silent from
                then on, at the earliest.
        """
        counted = []
        for one in gateways:
            heard = self._heard[one.id] = self._newest(one, answered_at_s)
            if asked_at_s - heard.first_seen_s < self._silent_after_s:
                counted.append(one)
        return counted

    def _newest(self, gateway: GatewayStatus, now_s: float) -> _Heard:
        before = self._heard.get(gateway.id)
        if before is not None and before.beat == gateway.beat:
            return before
        return _Heard(gateway.beat, now_s)
