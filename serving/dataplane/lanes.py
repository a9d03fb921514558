"""A lane for every release that answers."""

from serving.dataplane.admission import Lane
from serving.store.values import Release, ReleaseKey


class Lanes:
    """The lanes, made when a release first gets a request.

    Args:
        waiting_room: How many requests may wait for each release.
    """

    def __init__(self, *, waiting_room: int) -> None:
        self._waiting_room = waiting_room
        self._lanes: dict[ReleaseKey, Lane] = {}

    def of(self, release: Release) -> Lane:
        """Return the release's lane, as wide as its workers can take now."""
        places = 2 * release.workers * release.batch_size
        lane = self._lanes.get(release.key)
        if lane is None:
            lane = Lane(str(release.key), places=places, waiting_room=self._waiting_room)
            self._lanes[release.key] = lane
        elif lane.places != places:
            lane.resize(places)
        return lane

    def forget(self, key: ReleaseKey) -> None:
        """Drop the lane of a release that nothing is sent to any more and that owes nothing."""
        self._lanes.pop(key, None)
