"""The search's own TorchServe, when it dies under a way that is tried."""

import asyncio
from pathlib import Path
from typing import Any

import psutil
import pytest

from serving.controlplane.archives import ArchiveStore
from serving.controlplane.wanted import Wanted
from serving.errors import BackendUnavailable
from serving.tuning.frames import golden_frames
from serving.tuning.private_server import PrivateServer, private_server

WAY = Wanted(workers=1, threads=1, batch_size=1, variant="onnxruntime-fp32")


@pytest.mark.slow
async def test_a_way_finds_torchserve_again_after_it_died_under_another(
    archives: Any, tmp_path: Path
) -> None:
    path = await asyncio.to_thread(archives.build, tmp_path / "store")
    store = ArchiveStore(
        tmp_path / "archives", model_store=path.parent, trusted_keys=(archives.public_key,)
    )
    archive = await asyncio.to_thread(store.take, path)
    frames = await golden_frames(archive)

    others = servers()
    async with private_server(tmp_path, archive, frames, patience_s=5, load_timeout_s=60) as stand:
        with pytest.raises(BackendUnavailable):
            await killed(stand, others)
        async with stand.running(WAY) as running:
            measured = await running.offered(20, 1)

    assert measured.answered == 20


def servers() -> set[psutil.Process]:
    """Return the TorchServes below this process."""
    return {one for one in psutil.Process().children(recursive=True) if one.name() == "java"}


async def killed(stand: PrivateServer, others: set[psutil.Process]) -> None:
    """End TorchServe while it answers frames of a way."""
    async with stand.running(WAY) as running:
        (java,) = servers() - others
        java.kill()
        await running.offered(20, 1)
