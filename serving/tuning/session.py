"""A whole search: the archive verified, a private server started, and all of it gone at the end."""

import asyncio
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from serving.controlplane.archives import Archive, ArchiveStore
from serving.controlplane.wanted import must_be_listed
from serving.machine import Machine, memory_for_workers_bytes
from serving.tuning.findings import Findings
from serving.tuning.frames import Frames, frames_of, golden_frames
from serving.tuning.private_server import private_server
from serving.tuning.search import Search
from serving.tuning.space import Layout, Space, layouts
from serving.tuning.trying import Hearer

_LOOK_S = 1.0
# A worker that hangs must not take the whole search.
_LEAST_LOAD_S = 30.0


@dataclass(frozen=True)
class Plan:
    """What is searched.

    Attributes:
        archive: NAME-VERSION.mar.
        trusted_keys: One of them must have signed it: its code runs here.
        frames: A folder of images; None: the archive's golden frames.
        p99_ms: The target.
        budget_s: For the search.
        variants: Only these; none: all of the card's.
        cores: To share; None: all of this machine's.
        oversubscribe: Also try more threads than cores.
    """

    archive: Path
    trusted_keys: Sequence[Path]
    frames: Path | None
    p99_ms: float
    budget_s: float
    variants: tuple[str, ...] = ()
    cores: int | None = None
    oversubscribe: bool = False


@dataclass
class Session:
    """A search and what came of it so far.

    Attributes:
        plan: What is searched.
        findings: So far.
        archive: Once it is verified.
        frames: Once they are read.
        busy_cores: What else the machine was doing before.
    """

    plan: Plan
    findings: Findings = field(default_factory=Findings)
    archive: Archive | None = None
    frames: Frames | None = None
    busy_cores: float = 0.0

    async def run(self, hearer: Hearer) -> None:
        """Search; nothing of it is left running, however it ends.

        Raises:
            ArchiveRejected: The archive is unsigned, altered or not one of ours.
            InvalidField: Its card has no such variant.
            ConfigurationError: TorchServe does not start, there are no frames, or nothing answers
                rightly here.
        """
        task = asyncio.current_task()
        if task is not None:  # a Ctrl-C is the runner's to handle
            for number in (signal.SIGTERM, signal.SIGHUP):  # the latter: its terminal was closed
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with tempfile.TemporaryDirectory(prefix="understudy-tune-") as name:
            await self._search(Path(name), hearer)

    async def _search(self, folder: Path, hearer: Hearer) -> None:
        plan = self.plan
        hearer.doing(f"verifying {plan.archive.name}", plan.budget_s)
        archive = self.archive = await asyncio.to_thread(_taken, plan, folder)
        for name in plan.variants:
            must_be_listed(archive, name)
        listed = tuple(one.name for one in archive.card.variants)
        frames = self.frames = (
            await golden_frames(archive)
            if plan.frames is None
            else await asyncio.to_thread(frames_of, plan.frames)
        )
        used = await asyncio.to_thread(psutil.cpu_percent, _LOOK_S)
        self.busy_cores = used / 100 * (psutil.cpu_count() or 1)
        hearer.doing("starting TorchServe", plan.budget_s)
        patience_s = 2 * plan.p99_ms / 1000
        async with private_server(
            folder,
            archive,
            frames,
            patience_s=patience_s,
            load_timeout_s=max(_LEAST_LOAD_S, plan.budget_s / 2),
        ) as stand:
            search = Search(
                stand,
                Space(tuple(one for one in listed if one in (plan.variants or listed)), self._ways),
                self.findings,
                p99_ms=plan.p99_ms,
                budget_s=plan.budget_s,
                hearer=hearer,
            )
            await search.run()

    @property
    def _ways(self) -> tuple[Layout, ...]:
        here = Machine.here().cores
        cores = min(self.plan.cores or here, here)
        return layouts(cores, memory_for_workers_bytes(), oversubscribe=self.plan.oversubscribe)


def _taken(plan: Plan, folder: Path) -> Archive:
    path = plan.archive.absolute()
    store = ArchiveStore(
        folder / "archives", model_store=path.parent, trusted_keys=plan.trusted_keys
    )
    return store.take(path)
