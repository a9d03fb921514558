"""Everything that a report is made of, asked of the admin API part by part."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from serving.report.period import Period
from serving.report.traffic import Traffic

# One call's part of the period: a second of the controller's time.
_PART_S = 86_400


class Asks(Protocol):
    """What is needed of `AdminClient`."""

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | list[Any] | None = None,
        **query: str | int,
    ) -> Any:
        """Call the admin API."""


@dataclass(frozen=True)
class Gathered:
    """A period as the server knows it.

    Attributes:
        period: Which.
        traffic: Of it.
        revisions: Of routes, oldest first; each route's first may be of before the period.
        rollouts: That were under way, oldest first.
        audit: Newest first.
        audit_complete: Whether no older entry of the period was left out.
    """

    period: Period
    traffic: Traffic
    revisions: Sequence[Mapping[str, Any]]
    rollouts: Sequence[Mapping[str, Any]]
    audit: Sequence[Mapping[str, Any]]
    audit_complete: bool

    def changes(self) -> list[Mapping[str, Any]]:
        """Return the route changes within the period, oldest first."""
        begin = self.period.since
        return [one for one in self.revisions if datetime.fromisoformat(one["at"]) >= begin]


def gather(admin: Asks, period: Period, told: Callable[[float], None]) -> Gathered:
    """Ask for a period.

    Args:
        admin: Answers.
        period: Which.
        told: Is told the share that has come, 0 to 1.
    """
    traffic = Traffic()
    for since, until in period.parts(_PART_S):
        span = {"since": since.isoformat(), "until": until.isoformat()}
        steps = admin.call("GET", "/period/traffic", None, **span, step_s=period.asked_step_s)
        traffic.add(steps, period)
        told((until - period.since).total_seconds() / period.seconds)
    span = {"since": period.since.isoformat(), "until": period.until.isoformat()}
    happened = admin.call("GET", "/period/happened", None, **span)
    return Gathered(
        period=period,
        traffic=traffic,
        revisions=happened["revisions"],
        rollouts=happened["rollouts"],
        audit=happened["audit"],
        audit_complete=happened["audit_complete"],
    )
