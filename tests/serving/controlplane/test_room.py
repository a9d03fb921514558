"""Workers for which a machine has no memory."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proto.wire.v1 import card_pb2
from serving.controlplane.room import worker_bytes
from serving.errors import InvalidField

MIB = 1024**2
# No machine of today holds two such workers.
WEIGHTS_BYTES = 1 << 45


async def huge(plane: Any) -> Path:
    """Build an archive whose weights are said to be larger than they are."""

    def grown(card: card_pb2.Card) -> None:
        card.variants[0].file_bytes = WEIGHTS_BYTES

    path: Path = await asyncio.to_thread(plane.build, "student", "1.0", change_card=grown)
    return path


@pytest.mark.parametrize(
    ("variant", "mib"),
    [("onnxruntime-int8", 120 + 3), ("torchscript-fp32", 360 + 12), ("auto", 120 + 3)],
)
def test_a_worker_takes_what_its_runtime_and_its_weights_take(variant: str, mib: int) -> None:
    card = card_pb2.Card(
        variants=[
            card_pb2.Variant(name="torchscript-fp32", runtime="torchscript", file_bytes=12 * MIB),
            card_pb2.Variant(name="onnxruntime-int8", runtime="onnxruntime", file_bytes=3 * MIB),
        ]
    )

    assert worker_bytes(card, variant) == mib * MIB


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_workers_that_no_memory_is_left_for_are_refused_and_nothing_is_kept(
    plane: Any,
) -> None:
    path = await huge(plane)

    with pytest.raises(InvalidField, match=r"workers: 64 of student-1\.0 do not fit") as refused:
        await plane.controller.deploy(path, workers=64, who="test")

    assert refused.value.field == "workers"
    assert "backend-0's machine" in refused.value.message
    assert "ask for at most 1," in refused.value.message
    assert not await plane.store.releases()
    assert not await plane.backend.management.list()
    assert not list(plane.archives.path("x").parent.glob("*.mar"))


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_the_first_worker_is_let_be_and_more_are_refused_while_it_serves(plane: Any) -> None:
    path = await huge(plane)
    assert (await plane.controller.deploy(path, who="test")).workers == 1

    with pytest.raises(InvalidField, match="1 more of") as refused:
        await plane.controller.deploy(path, workers=2, who="test")

    assert "ask for at most 1," in refused.value.message
    (running,) = await plane.backend.management.list()
    assert running.ready_workers == 1
