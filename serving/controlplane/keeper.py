"""One backend in the leader's hands: what runs there, and what the gateways are told of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from serving.controlplane import registering
from serving.controlplane.archives import Archive
from serving.controlplane.warming import warm
from serving.errors import BackendUnavailable, UpstreamError
from serving.store.store import Store
from serving.store.values import Release, ReleaseKey
from serving.torchserve.backend import Backend
from serving.torchserve.registration import Registration

_log = structlog.get_logger(__name__)

_LOOK_AGAIN_S = 0.25

Confirm = Callable[[], Awaitable[None]]
"""Raises LeaseLost unless this process leads; see `Claim.confirm`."""
Loaded = Callable[[str, ReleaseKey, float], None]
"""Told of a backend, a release that it has loaded, and how many seconds that took."""


def tell_nobody(_backend: str, _key: ReleaseKey, _seconds: float) -> None:
    """Do nothing."""


class Keeper:
    """Changes one backend for the leader.

    A placement is a promise to the gateways: the release runs here and has answered its golden
    frames since it was registered. It is withdrawn before the release is removed, or as soon as
    it is found missing, and written only after the golden frames.

    Args:
        backend: The one that is kept.
        store: Fenced; keeps the placements.
        confirm: Asked before each act that cannot be undone.
        loaded: Told of each registration.
    """

    def __init__(
        self, backend: Backend, store: Store, confirm: Confirm, loaded: Loaded = tell_nobody
    ) -> None:
        self.backend = backend
        self._loaded = loaded
        self._store = store
        self._confirm = confirm
        self._silent_since_s: float | None = None
        self.changing = asyncio.Lock()
        """Held while the backend is changed or compared with the store."""

    @property
    def name(self) -> str:
        """The backend's."""
        return self.backend.name

    @property
    def is_far(self) -> bool:
        """Whether it runs on another machine, which may be gone without the rest."""
        return self.backend.host is not None

    def silent_for_s(self) -> float:
        """Return for how long it has not answered a look, in seconds; 0: it did the last one."""
        since_s = self._silent_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    async def answers(self, timeout_s: float) -> None:
        """Wait until the backend answers.

        Raises:
            BackendUnavailable: It did not, for this long.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not await self._is_up():  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError:
            raise BackendUnavailable(
                f"backend {self.name} did not answer for {timeout_s + self.silent_for_s():.0f} s"
            ) from None

    async def look(self) -> dict[ReleaseKey, Registration]:
        """Return what runs, and bring the placements to it; needs `changing`.

        Nothing is placed that was not before.

        Raises:
            UpstreamError: The backend does not answer.
        """
        running = {one.key: one for one in await self._listed()}
        known = {release.key: release for release in await self._store.releases()}
        placed = await self._placed()
        await self._place(
            {
                key: running[key].ready_workers
                for key in placed
                if key in known and runs(running.get(key), known[key])
            }
        )
        return running

    async def load(self, archive: Archive, release: Release) -> None:
        """Register a release; what of it was left there by a half-done deploy goes first.

        Needs `changing`; the release must not be one that gateways may send to.

        Raises:
            UpstreamError: It did not load, or the backend does not answer.
        """
        await self.remove(release.key)
        await self.register(archive, release)

    async def register(self, archive: Archive, release: Release) -> None:
        """Register a release that the backend does not know; needs `changing`.

        Raises:
            UpstreamError: It did not load, or the backend does not answer.
        """
        await self._confirm()
        began = time.monotonic()
        await registering.register(self.backend, archive, release)
        self._loaded(self.name, release.key, time.monotonic() - began)

    async def prove(self, archive: Archive, release: Release) -> None:
        """Ask the golden frames of a release that is registered, then place it.

        Needs `changing`.

        Raises:
            DeployFailed: They were not answered rightly.
            UpstreamError: The backend does not answer, or lost the release meanwhile.
        """
        await warm(archive, release, self.backend.inference)
        found = await self.backend.management.describe(release.key)
        if found is None:
            raise BackendUnavailable(f"backend {self.name} was started anew and lost {release.key}")
        await self._place(await self._placed() | {release.key: found.ready_workers})

    async def remove(self, key: ReleaseKey) -> None:
        """Withdraw a release's placement, then unregister it; needs `changing`.

        Raises:
            UpstreamError: The backend refused, or does not answer.
        """
        placed = await self._placed()
        placed.pop(key, None)
        await self._place(placed)
        await self._confirm()
        await self.backend.management.unregister(key)

    async def scale(self, key: ReleaseKey, workers: int, *, wait: bool = True) -> None:
        """Give a release so many ready workers; needs `changing`.

        Raises:
            UpstreamError: The backend refused, or does not answer.
        """
        await self._confirm()
        await self.backend.management.scale(key, workers, wait=wait)

    async def _is_up(self) -> bool:
        try:
            await self.backend.management.list()
        except UpstreamError:
            return False
        return True

    async def _listed(self) -> tuple[Registration, ...]:
        try:
            running = await self.backend.management.list()
        except BackendUnavailable:
            if self._silent_since_s is None:
                self._silent_since_s = time.monotonic()
            raise
        self._silent_since_s = None
        return running

    async def _placed(self) -> dict[ReleaseKey, int]:
        return dict((await self._store.placements()).get(self.name, {}))

    async def _place(self, ready_workers: dict[ReleaseKey, int]) -> None:
        """Write the placements where they differ: gateways read all anew after each change."""
        if ready_workers != await self._placed():
            await self._store.put_placements(self.name, ready_workers)


def runs(registration: Registration | None, release: Release) -> bool:
    """Tell whether a backend runs this very archive."""
    return registration is not None and registration.archive == f"{release.sha256}.mar"
