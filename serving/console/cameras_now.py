"""Each camera with who answers it: those that get no answer, or are silent, first."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from serving.console.traffic import RouteTraffic, Seen
from serving.store.observations import Camera, Sighting
from serving.words import as_counted


class Health(StrEnum):
    """How a camera fares; in the order in which somebody should look."""

    UNANSWERED = "no answer"
    SILENT = "silent"
    ANSWERED = "answered"
    QUIET = "quiet"


_ORDER = {health: place for place, health in enumerate(Health)}


class CameraNow(NamedTuple):
    """A camera.

    Attributes:
        id: As in its requests.
        group: The operator's word, "" for none.
        health: How it fares.
        route: That its newest frames went to; "" where none came in a quarter of an hour.
        arm: That answered it last; "" for none.
        release: The arm's then.
        last_seen: UTC; None: never.
    """

    id: str
    group: str
    health: Health
    route: str = ""
    arm: str = ""
    release: str = ""
    last_seen: datetime | None = None

    def holds(self, words: Iterable[str]) -> bool:
        """Whether each of the words, in lower case, is a part of what is told of it."""
        text = " ".join((self.id, self.group, self.route, self.arm, self.release, self.health))
        return all(word in text.lower() for word in words)


def cameras_now(
    known: Sequence[Camera], routes: Mapping[str, RouteTraffic], now: datetime
) -> list[CameraNow]:
    """Return all cameras, each once.

    Args:
        known: What the store knows of them.
        routes: Traffic by route; of two routes of one camera the newer counts.
        now: UTC.
    """
    described = {one.id: one for one in known}
    seen: dict[str, tuple[str, Seen]] = {}
    for route, traffic in routes.items():
        for name, sight in traffic.seen().items():
            if name not in seen or seen[name][1].at < sight.at:
                seen[name] = route, sight
    found = [
        _camera(name, described.get(name), seen.get(name), now) for name in {*described, *seen}
    ]
    return sorted(found, key=lambda one: (_ORDER[one.health], as_counted(one.id)))


def _camera(
    name: str, camera: Camera | None, seen: tuple[str, Seen] | None, now: datetime
) -> CameraNow:
    one = CameraNow(name, "", Health.QUIET)
    if seen is not None:
        route, sight = seen
        side = sight.side
        one = one._replace(
            health=Health.ANSWERED if sight.answered else Health.UNANSWERED,
            route=route,
            arm=side.arm if side else "",
            release=side.release if side else "",
            last_seen=sight.at,
        )
    if camera is None:
        return one
    at = max(filter(None, (one.last_seen, camera.last_seen)), default=None)
    if Sighting(camera.group, camera.expected_fps, at).is_silent(now):
        one = one._replace(health=Health.SILENT)
    return one._replace(group=camera.group, last_seen=at)
