"""Writes what passed through this gateway to the store, in windows of five seconds."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal, Protocol

import structlog

from serving.dataplane.tallies import CameraTally, Tally, TallyKey
from serving.error_info import CAMERAS_OWN
from serving.store.observations import WINDOW_S, AgreementSums, Window
from serving.store.uncut import uncut
from serving.store.values import ReleaseKey

log = structlog.get_logger(__name__)

# A minute's worth: longer than that without a store, the oldest go.
_KEPT_WINDOWS = 12
# Distinct cameras told apart in a window; the others' frames are counted without their names.
MOST_CAMERAS = 10_000


class WindowStore(Protocol):
    """What the recorder needs of the store."""

    async def add_windows(self, windows: Sequence[Window]) -> None:
        """Add windows."""

    async def see_cameras(self, seen: Mapping[str, datetime]) -> None:
        """Take note of when cameras were last seen."""


class Recorder:
    """Counts in memory and writes in the background; what it is told never waits for the store.

    Args:
        store: Where windows go.
        gateway: This gateway's id.
        dropped: Called with how many windows the store did not take in time.
        clock: Unix seconds: windows are aligned to the epoch, so that gateways' fit together.
    """

    def __init__(
        self,
        store: WindowStore,
        gateway: str,
        *,
        dropped: Callable[[int], None] = lambda windows: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._dropped = dropped
        self._clock = clock
        self._start = self._present()
        self._open: dict[TallyKey, Tally] = {}
        self._cameras: set[str] = set()
        self._closed: deque[tuple[float, dict[TallyKey, Tally]]] = deque()
        self._seen: dict[str, float] = {}
        self._writing = asyncio.Lock()

    def answered(
        self,
        *,
        route: str,
        revision: int,
        arm: str,
        release: ReleaseKey,
        kind: Literal["primary", "fallback"],
        camera_id: str,
        code: str,
        latency_s: float | None,
    ) -> None:
        """Count a frame's end at an arm.

        Args:
            route: Its name.
            revision: The route's, under which the frame was sent.
            arm: Who answered, or failed to.
            release: The arm's.
            kind: Whether the split chose the arm, or it stood in.
            camera_id: Whose frame; "" for nobody's.
            code: "ok" or an error's code.
            latency_s: Of an answer, in seconds.
        """
        tally, camera = self._tally(TallyKey(route, revision, arm, release, kind), camera_id)
        is_error = code != "ok" and code not in CAMERAS_OWN
        tally.count(code, latency_s, camera, is_error=is_error)
        self._see(camera_id)

    def compared(
        self,
        *,
        route: str,
        revision: int,
        arm: str,
        release: ReleaseKey,
        camera_id: str,
        agreement: AgreementSums,
        latency_s: float,
    ) -> None:
        """Count a frame that a shadow arm answered too.

        Args:
            route: Its name.
            revision: The route's.
            arm: The shadow.
            release: The shadow's.
            camera_id: Whose frame; "" for nobody's.
            agreement: This frame's sums.
            latency_s: The shadow's, in seconds.
        """
        tally, camera = self._tally(TallyKey(route, revision, arm, release, "shadow"), camera_id)
        tally.count("ok", latency_s, camera, is_error=False)
        tally.compare(agreement, camera)

    def shadow_failed(
        self,
        *,
        route: str,
        revision: int,
        arm: str,
        release: ReleaseKey,
        camera_id: str,
        code: str,
    ) -> None:
        """Count a frame that a shadow arm was sent and did not answer; see `compared`."""
        tally, camera = self._tally(TallyKey(route, revision, arm, release, "shadow"), camera_id)
        tally.count(code, None, camera, is_error=code not in CAMERAS_OWN)

    async def follow(self) -> None:
        """Write each window soon after its end, until cancelled; a store that fails is asked again.

        What is left then, `flush` writes.
        """
        while True:
            await asyncio.sleep(self._start + WINDOW_S - self._clock() + 0.05)
            await self.flush()

    async def flush(self, *, everything: bool = False) -> None:
        """Write the windows that have ended, and when cameras were last seen.

        Args:
            everything: Write the present window too: the gateway stops.
        """
        self._turn(even_now=everything)
        async with self._writing:
            try:
                # Cut off after a commit, it would not know of it and write the same windows again.
                await uncut(self._write())
            except Exception:
                log.exception("windows not written; they follow with the next")

    async def _write(self) -> None:
        while self._closed:
            oldest = start, tallies = self._closed[0]
            # In a thread: ten thousand cameras' values take their time.
            await self._store.add_windows(await asyncio.to_thread(self._frozen, start, tallies))
            # The bound may have dropped it meanwhile.
            if self._closed and self._closed[0] is oldest:
                self._closed.popleft()
        seen, self._seen = self._seen, {}
        try:
            if seen:
                await self._store.see_cameras(
                    {name: datetime.fromtimestamp(at, UTC) for name, at in seen.items()}
                )
        except Exception:
            self._seen = seen | self._seen
            raise

    def _tally(self, key: TallyKey, camera_id: str) -> tuple[Tally, CameraTally | None]:
        self._turn()
        tally = self._open.get(key)
        if tally is None:
            tally = self._open[key] = Tally()
        if not camera_id or not self._has_room(camera_id):
            return tally, None
        camera = tally.cameras.get(camera_id)
        if camera is None:
            camera = tally.cameras[camera_id] = CameraTally()
        return tally, camera

    def _has_room(self, camera_id: str) -> bool:
        if camera_id not in self._cameras and len(self._cameras) >= MOST_CAMERAS:
            return False
        self._cameras.add(camera_id)
        return True

    def _see(self, camera_id: str) -> None:
        if camera_id and (camera_id in self._seen or len(self._seen) < MOST_CAMERAS):
            self._seen[camera_id] = self._clock()

    def _turn(self, *, even_now: bool = False) -> None:
        """Close the open window if its time is over."""
        present = self._present()
        if present == self._start and not even_now:
            return
        if self._open:
            self._closed.append((self._start, self._open))
        self._open, self._cameras, self._start = {}, set(), present
        while len(self._closed) > _KEPT_WINDOWS:
            _, tallies = self._closed.popleft()
            self._dropped(len(tallies))

    def _frozen(self, start: float, tallies: Mapping[TallyKey, Tally]) -> list[Window]:
        at = datetime.fromtimestamp(start, UTC)
        return [tally.frozen(self._gateway, at, key) for key, tally in tallies.items()]

    def _present(self) -> float:
        return self._clock() // WINDOW_S * WINDOW_S
