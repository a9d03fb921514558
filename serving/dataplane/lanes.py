"""A lane for every release that answers."""

from collections.abc import Callable

from serving.dataplane.admission import Lane
from serving.store.values import Release, ReleaseKey


class Lanes:
    """The lanes, made when a release first gets a request; each is this gateway's share.

    Args:
        waiting_room: How many requests may wait for each release.
        ready_workers: Returns a release's ready workers on each backend that may be sent to now.
        live_gateways: Returns how many gateways share the workers, this one included.
        backend_queue: Requests of one release that one backend takes in.
    """

    def __init__(
        self,
        *,
        waiting_room: int,
        ready_workers: Callable[[ReleaseKey], list[int]],
        live_gateways: Callable[[], int],
        backend_queue: int,
    ) -> None:
        self._waiting_room = waiting_room
        self._ready_workers = ready_workers
        self._live_gateways = live_gateways
        self._backend_queue = backend_queue
        self._lanes: dict[ReleaseKey, Lane] = {}

    def of(self, release: Release) -> Lane:
        """Return the release's lane, as wide as its workers can take from this gateway now.

        Fewer places cancel nothing: what is outstanding beyond them finishes.
        """
        places = self._places(release)
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

    def _places(self, release: Release) -> int:
        total = sum(
            min(2 * workers * release.batch_size, self._backend_queue)
            for workers in self._ready_workers(release.key)
        )
        return max(1, total // max(1, self._live_gateways()))
