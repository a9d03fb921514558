"""A route at a glance: what the live page shows, reckoned from the store and the windows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from serving.console.traffic import RouteTraffic, Side, Sums
from serving.console.words import count, percent, weight
from serving.store.values import Release, ReleaseKey, ReleaseState, RouteRevision

LATELY = timedelta(seconds=60)
"""What the numbers beside an arm speak of; long enough for a camera of a frame a minute."""


@dataclass(frozen=True)
class ArmNow:
    """One arm, as it is wanted and as it was in the last minute.

    Attributes:
        name: The arm's.
        release: What answers.
        state: The release's.
        ready_workers: On all backends together.
        weight: Percent.
        cameras: How many it was the last to answer.
        share: Of all the route's cameras, 0 to 1; None: none was seen.
        frames_s: Frames a second.
        sums: What it answered.
        colour: Its place among the arms' colours.
    """

    name: str
    release: str
    state: ReleaseState | None
    ready_workers: int
    weight: float
    cameras: int
    share: float | None
    frames_s: float
    sums: Sums
    colour: int


@dataclass(frozen=True)
class RouteNow:
    """A route, as it is wanted and as it was in the last minute.

    Attributes:
        revision: As it stands.
        arms: In the route's order.
        cameras: All that were seen.
    """

    revision: RouteRevision
    arms: tuple[ArmNow, ...]
    cameras: int

    @property
    def glance(self) -> str:
        """Who answers whom, and whether they agree, in a sentence."""
        if not self.cameras:
            shares = ", ".join(
                f"{arm.release} is to answer {weight(arm.weight)}"
                for arm in self.arms
                if arm.weight
            )
            return f"No camera was seen in the last minute; {shares}."
        answering = [arm for arm in self.arms if arm.cameras]
        first, *others = answering
        verb = "is" if first.cameras == 1 else "are"
        said = (
            f"{first.cameras:,} of {count(self.cameras, 'camera')} {verb} answered by "
            f"{first.release}"
        )
        said += "".join(f", {arm.cameras:,} by {arm.release}" for arm in others)
        return f"{said}{self._agreement()}."

    def _agreement(self) -> str:
        compared = [arm for arm in self.arms if arm.sums.compared]
        told = (
            f"; the {arm.name} agrees {percent(arm.sums.agreement)} with what the cameras got"
            for arm in compared
        )
        return "".join(told)


def overview(
    revision: RouteRevision,
    traffic: RouteTraffic,
    now: datetime,
    releases: Iterable[Release],
    placements: Mapping[str, Mapping[ReleaseKey, int]],
) -> RouteNow:
    """Return a route at a glance.

    Args:
        revision: The route as it stands.
        traffic: Its windows.
        now: UTC, by the store's clock.
        releases: All of them.
        placements: Ready workers by backend and release.
    """
    states = {one.key: one.state for one in releases}
    sums = traffic.last(now, LATELY)
    cameras = traffic.cameras_of(now, LATELY)
    seconds = traffic.seconds_covered(now, LATELY)
    total = sum(cameras.values())

    def arm_now(place: int) -> ArmNow:
        arm = revision.route.arms[place]
        side = Side(arm.name, str(arm.release))
        mine = sums.get(side, Sums())
        return ArmNow(
            name=arm.name,
            release=side.release,
            state=states.get(arm.release),
            ready_workers=sum(one.get(arm.release, 0) for one in placements.values()),
            weight=arm.weight,
            cameras=cameras.get(side, 0),
            share=cameras.get(side, 0) / total if total else None,
            frames_s=mine.frames / seconds if seconds else 0.0,
            sums=mine,
            colour=place,
        )

    return RouteNow(
        revision=revision,
        arms=tuple(arm_now(place) for place in range(len(revision.route.arms))),
        cameras=total,
    )
