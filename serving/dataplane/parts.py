"""Who is to answer a frame: one arm of one route, as of one table."""

from dataclasses import dataclass, replace
from typing import Literal, Self

from serving.dataplane.deadline import Deadline
from serving.dataplane.route_table import RouteTable
from serving.store.values import Arm, Release, Route


@dataclass(frozen=True)
class Part:
    """One frame's arm.

    Attributes:
        route: As of the table that was read.
        revision: Of the route.
        arm: Who answers.
        release: The arm's.
        deadline: Of the frame.
        stood_in_for: The arm that was to answer; None: this one was.
        forced: Whether the caller named the arm.
    """

    route: Route
    revision: int
    arm: Arm
    release: Release
    deadline: Deadline
    stood_in_for: Arm | None = None
    forced: bool = False

    @property
    def kind(self) -> Literal["primary", "fallback"]:
        """Whether the split chose the arm, or it stands in for another."""
        return "primary" if self.stood_in_for is None else "fallback"

    def handed_to(self, arm: Arm, release: Release, table: RouteTable) -> Self:
        """Return the part of the arm that stands in, as of `table`."""
        return replace(
            self,
            arm=arm,
            release=release,
            route=table.routes[self.route.name],
            revision=table.revision_of(self.route.name),
            stood_in_for=self.arm,
        )
