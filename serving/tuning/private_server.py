"""A TorchServe that nobody else knows: own folder, own ports on loopback, gone with the search."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from serving.boxes import Boxes
from serving.controlplane import golden
from serving.controlplane.archives import Archive
from serving.controlplane.registering import register
from serving.controlplane.wanted import Wanted, staged
from serving.controlplane.warming import warm
from serving.errors import (
    BackendUnavailable,
    ConfigurationError,
    DeployFailed,
    RequestError,
    UpstreamError,
)
from serving.torchserve.backend import Backend
from serving.torchserve.config import TorchServeConfig
from serving.torchserve.inference import InferenceClient, WorkerReply
from serving.torchserve.management import ManagementClient
from serving.torchserve.process import TorchServe
from serving.tuning import load
from serving.tuning.frames import Frames
from serving.tuning.load import Measured

_TIMEOUT_S = 60.0
_SETTLE_S = 0.5
_LEAVE_S = 10.0
_COMES_BACK_S = 60.0


@asynccontextmanager
async def private_server(
    folder: Path, archive: Archive, frames: Frames, *, patience_s: float, load_timeout_s: float
) -> AsyncIterator["PrivateServer"]:
    """Start a TorchServe; it and all below it end with the block, however that ends.

    Args:
        folder: Private and empty.
        archive: What is tried; TorchServe loads from its folder.
        frames: What is sent.
        patience_s: Frames that wait longer than this after the last has come are given up.
        load_timeout_s: A way whose workers are not up after so long is out.

    Raises:
        ConfigurationError: It does not start.
    """
    config = TorchServeConfig(archives=archive.path.parent, folder=folder / "torchserve")
    async with (
        TorchServe(config) as server,
        ManagementClient(
            server.management_url, server.management_token, load_timeout_s=load_timeout_s
        ) as management,
        InferenceClient(server.inference_url, server.inference_token) as inference,
    ):
        backend = Backend("tune", inference, management, config.choices)
        yield PrivateServer(server, backend, archive, frames, patience_s)


class PrivateServer:
    """Runs one way to deploy at a time; see `serving.tuning.stand.Stand`."""

    def __init__(
        self,
        server: TorchServe,
        backend: Backend,
        archive: Archive,
        frames: Frames,
        patience_s: float,
    ) -> None:
        self._server = server
        self._backend = backend
        self._archive = archive
        self._frames = frames
        self._patience_s = patience_s

    @asynccontextmanager
    async def running(self, wanted: Wanted) -> AsyncIterator["RunningRelease"]:
        """Run a way, once it has answered the golden frames rightly.

        Raises:
            BackendUnavailable: TorchServe itself has gone; the next way finds it started again.
            UpstreamError: It does not run here; in the worker's own words.
            DeployFailed: It answers otherwise than the card allows.
            ConfigurationError: One of the user's frames is no image.
        """
        await self._is_up()
        try:
            release = staged(self._archive, wanted, None)
            await register(self._backend, self._archive, release)
            await warm(self._archive, release, self._backend.inference)
            places = min(2 * wanted.workers * wanted.batch_size, TorchServeConfig.job_queue_size)
            ran = RunningRelease(
                self._backend, self._archive, self._frames, wanted, places, self._patience_s
            )
            await ran.warm_up()
            yield ran
        except asyncio.CancelledError:
            raise  # the whole server is about to go
        except BackendUnavailable:
            await asyncio.sleep(_SETTLE_S)  # until its end is seen, so that `_is_up` can wait
            await self._remove()  # nothing, where it was started again
            raise
        except BaseException:
            await self._remove()
            raise
        else:
            await self._remove()

    async def _is_up(self) -> None:
        """Wait for TorchServe, which is started again when it dies.

        Raises:
            BackendUnavailable: It does not come back.
        """
        try:
            async with asyncio.timeout(_COMES_BACK_S):
                await self._server.up.wait()
        except TimeoutError:
            raise BackendUnavailable(
                f"TorchServe ended and was not back within {_COMES_BACK_S:g} s"
            ) from None

    async def _remove(self) -> None:
        """Unregister what runs and wait for its workers: they would take the next one's cores."""
        with suppress(UpstreamError):
            found = await self._backend.management.describe(self._archive.key)
            await self._backend.management.unregister(self._archive.key)
            pids = [one.pid for one in found.workers if one.pid] if found else []
            await asyncio.to_thread(_have_ended, pids)


def _have_ended(pids: list[int]) -> None:
    processes = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
    psutil.wait_procs(processes, timeout=_LEAVE_S)


@dataclass(frozen=True)
class RunningRelease:
    """One way that runs; see `serving.tuning.stand.Running`.

    Attributes:
        backend: Where.
        archive: What.
        frames: Sent in turn.
        wanted: The way.
        places: Frames that are outstanding at once: as many as gateways would let through.
        patience_s: See `private_server`.
    """

    backend: Backend
    archive: Archive
    frames: Frames
    wanted: Wanted
    places: int
    patience_s: float

    async def warm_up(self) -> None:
        """Have each frame answered once: engines build what a new shape needs.

        Raises:
            ConfigurationError: One of the user's frames is no image.
        """
        gate = asyncio.Semaphore(self.places)

        async def one(place: int) -> None:
            async with gate:
                try:
                    await self._ask(place)
                except RequestError as error:
                    name = self.frames.names[place]
                    raise ConfigurationError(f"frames: {name}: {error.message}") from error

        if not self.frames.are_golden:
            await asyncio.gather(*(one(place) for place in range(len(self.frames.images))))

    async def saturated(self, seconds: float) -> Measured:
        """Return what it answers at most; see `Running`."""
        return self._right(
            await load.saturated(
                self._ask,
                len(self.frames.images),
                places=self.places,
                seconds=seconds,
                warm_up_s=_SETTLE_S,
            )
        )

    async def offered(self, rate: float, seconds: float, draw: int = 0) -> Measured:
        """Return what it answers of an offered load; see `Running`."""
        await self._ask(0)  # behind whatever an earlier load has left in TorchServe's queue
        return self._right(
            await load.offered(
                self._ask,
                len(self.frames.images),
                places=self.places,
                moments_s=load.arrivals_s(rate, seconds, draw),
                seconds=seconds,
                patience_s=self.patience_s,
            )
        )

    async def _ask(self, place: int) -> WorkerReply:
        image = self.frames.images[place]
        return await self.backend.inference.predict(self.archive.key, image, timeout_s=_TIMEOUT_S)

    def _right(self, measured: Measured) -> Measured:
        """Hold the answers under load against the card, where it says what they must be.

        Raises:
            DeployFailed: They leave the variant's tolerance.
        """
        if not self.frames.are_golden or not measured.replies:
            return measured
        card = self.archive.card
        (tolerance,) = (one.tolerance for one in card.variants if one.name == self.wanted.variant)
        wanted = [golden.expected(frame) for frame in card.golden_frames]
        answers: list[tuple[Boxes, Boxes]] = [
            (wanted[place], golden.found(reply)) for place, reply in measured.replies
        ]
        reached = golden.f1(answers, tolerance)
        if reached < tolerance.min_f1:
            raise DeployFailed(
                f"golden frames: under load {self.wanted.variant} reached F1 {reached:.3f} against "
                f"the card's answers and must reach {tolerance.min_f1:.3f}"
            )
        return measured
