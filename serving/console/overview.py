"""A route at a glance: what the live page shows, reckoned from the store and the windows."""

from collections import Counter
from dataclasses import dataclass

from serving.console.snapshot import Snapshot
from serving.console.traffic import RouteTraffic
from serving.store.side_sums import Side, Sums
from serving.store.values import ReleaseState, RouteRevision
from serving.words import count, percent, weight


@dataclass(frozen=True)
class ArmNow:
    """One arm, as it is wanted and as it was in the last minute.

    Attributes:
        name: The arm's.
        release: What answers.
        state: The release's.
        ready_workers: On all backends together.
        weight: Percent.
        cameras: How many it answers.
        share: Of all the route's cameras, 0 to 1; None: none was seen.
        frames_s: Frames a second that the split gave it.
        stood_in_s: Frames a second of other arms that it was handed.
        sums: What it did.
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
    stood_in_s: float
    sums: Sums
    colour: int


@dataclass(frozen=True)
class RouteNow:
    """A route, as it is wanted and as it was in the last minute.

    Attributes:
        revision: As it stands.
        arms: In the route's order.
        others: Cameras that what is no arm of the route any more was the last to answer, by
            release: they have sent nothing since it changed.
        unanswered: Cameras that nobody answers.
        lost: Share of the frames that nobody answered, 0 to 1; None without a frame.
    """

    revision: RouteRevision
    arms: tuple[ArmNow, ...]
    others: dict[str, int]
    unanswered: int
    lost: float | None

    @property
    def cameras(self) -> int:
        """All that were seen."""
        answered = sum(arm.cameras for arm in self.arms) + sum(self.others.values())
        return answered + self.unanswered

    @property
    def glance(self) -> str:
        """Who answers whom, and whether they agree, in a sentence."""
        return f"{self._who()}{self._agreement()}{self._lost()}."

    def _who(self) -> str:
        if not self.cameras:
            shares = ", ".join(
                f"{arm.release} is to answer {weight(arm.weight)}"
                for arm in self.arms
                if arm.weight
            )
            return f"No camera was seen in the last minute; {shares}"
        said = [_told(arm.cameras, "is", "are", arm.release) for arm in self.arms if arm.cameras]
        said += [_told(n, "was last", "were last", old) for old, n in self.others.items()]
        if self.unanswered:
            verb = "gets" if self.unanswered == 1 else "get"
            said.append(f"{self.unanswered:,} {verb} no answer")
        number, _, rest = said[0].partition(" ")
        return ", ".join([f"{number} of {count(self.cameras, 'camera')} {rest}", *said[1:]])

    def _agreement(self) -> str:
        return "".join(
            f"; the {arm.name} agrees {percent(arm.sums.agreement)} with what the cameras got"
            for arm in self.arms
            if arm.sums.compared
        )

    def _lost(self) -> str:
        return f"; nobody answered {percent(self.lost)} of the frames" if self.lost else ""


def _told(number: int, one: str, several: str, release: str) -> str:
    return f"{number:,} {one if number == 1 else several} answered by {release}"


def overview(revision: RouteRevision, traffic: RouteTraffic, seen: Snapshot) -> RouteNow:
    """Return a route at a glance.

    Args:
        revision: The route as it stands.
        traffic: Its windows.
        seen: The deployment.
    """
    states = seen.states()
    sums, seconds = traffic.lately(seen.now)
    cameras = traffic.cameras_lately(seen.now)
    total = cameras.total()
    unanswered = cameras.pop(None, 0)

    def arm_now(place: int) -> ArmNow:
        arm = revision.route.arms[place]
        side = Side(revision.route.name, arm.name, str(arm.release))
        mine, answers = sums.get(side, Sums()), cameras.pop(side, 0)
        return ArmNow(
            name=arm.name,
            release=side.release,
            state=states.get(arm.release),
            ready_workers=sum(seen.workers(arm.release).values()),
            weight=arm.weight,
            cameras=answers,
            share=answers / total if total else None,
            frames_s=mine.frames / seconds if seconds else 0.0,
            stood_in_s=mine.stood_in.total() / seconds if seconds else 0.0,
            sums=mine,
            colour=place,
        )

    everything = Sums()
    for one in sums.values():
        everything.add(one)
    arms = tuple(arm_now(place) for place in range(len(revision.route.arms)))
    others: Counter[str] = Counter()
    for side, number in cameras.items():
        if side is not None:
            others[side.release] += number
    return RouteNow(
        revision=revision,
        arms=arms,
        others=dict(others),
        unanswered=unanswered,
        lost=everything.unanswered / everything.frames if everything.frames else None,
    )
