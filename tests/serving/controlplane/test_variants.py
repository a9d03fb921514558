"""A deployment may ask for a variant and for threads; else the workers find what is best there."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from handlers.machine import Machine
from proto.wire.v1 import card_pb2
from serving.controlplane.warming import warm
from serving.errors import DeployFailed, InvalidField, ReleaseBusy
from serving.store.values import Arm, ReleaseKey, ReleaseState, Route

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

KEY = ReleaseKey(model="student", version="1.0")
ROUTE = Route(arms=(Arm(name="student", release=KEY, weight=100),))


def add(card: card_pb2.Card, name: str, *requires: str) -> None:
    """Let a card list one more variant, of the file that the first one has."""
    variant = card_pb2.Variant()
    variant.CopyFrom(card.variants[0])
    variant.name = name
    variant.runtime, variant.precision = name.split("-")
    variant.requires.extend(requires)
    card.variants.append(variant)


def several(card: card_pb2.Card) -> None:
    """Two that run anywhere and one that runs nowhere."""
    add(card, "openvino-fp32")
    add(card, "openvino-int8", "quantum")


async def built(plane: Any) -> Path:
    path: Path = await asyncio.to_thread(plane.build, "student", "1.0", change_card=several)
    return path


async def who_answers(plane: Any, image: bytes) -> tuple[str, int | None]:
    reply = await plane.backend.inference.predict(KEY, image, timeout_s=30)
    return reply.variant, reply.threads


async def test_the_variant_that_was_asked_for_answers_after_a_refill_too(
    plane: Any, image: bytes
) -> None:
    path = await built(plane)
    released = await plane.controller.deploy(
        path, variant="openvino-fp32", threads=1, batch_delay_ms=3, who="test"
    )
    assert released.variant == "openvino-fp32"
    assert await who_answers(plane, image) == ("openvino-fp32", 1)
    assert (await plane.backend.management.describe(KEY)).batch_delay_ms == 3
    kept = {"threads": 1, "batch_delay_ms": 3}
    with pytest.raises(ReleaseBusy, match="is loaded with openvino-fp32, not auto"):
        await plane.controller.deploy(path, **kept, who="test")
    with pytest.raises(ReleaseBusy, match="is loaded with 1, not auto; retire"):
        await plane.controller.deploy(path, **(kept | {"threads": None}), who="test")

    await plane.controller.set_route(ROUTE, who="ann", why="")
    again = asyncio.Event()
    plane.backend.server.on_restart(again.set)
    (java,) = psutil.Process(plane.backend.server.pid).children()
    os.kill(java.pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        await again.wait()
    await plane.controller.reconcile()

    assert await who_answers(plane, image) == ("openvino-fp32", 1)


async def test_workers_share_the_cores_where_nobody_asks_for_threads(
    plane: Any, image: bytes
) -> None:
    here = Machine.here()
    alone, half = here.cores if here.is_limited else None, max(1, here.cores // 2)
    path = await asyncio.to_thread(plane.build)
    release = await plane.controller.deploy(path, who="test")
    assert await who_answers(plane, image) == ("onnxruntime-fp32", alone)
    archive = await asyncio.to_thread(plane.archives.open, release.sha256, KEY)
    with pytest.raises(DeployFailed, match="threads: 2 were asked for and not all workers heed"):
        await warm(archive, release.model_copy(update={"threads": 2}), plane.backend.inference)
    await plane.controller.retire(KEY, who="test")
    await plane.controller.reconcile()

    await plane.controller.deploy(path, workers=2, who="test")

    assert await who_answers(plane, image) == ("onnxruntime-fp32", half)


async def test_one_that_no_card_lists_is_refused_and_nothing_kept(plane: Any) -> None:
    path = await built(plane)

    with pytest.raises(InvalidField, match="'onnxruntime-int4'; its card lists onnxruntime-fp32"):
        await plane.controller.deploy(path, variant="onnxruntime-int4", who="test")

    assert await plane.store.releases() == []
    assert not list(plane.backend.server.config.archives.glob("*.mar"))


async def test_one_that_does_not_run_there_is_refused_in_the_workers_own_words(
    plane: Any, image: bytes
) -> None:
    path = await built(plane)

    with pytest.raises(DeployFailed, match="openvino-int8 needs 'quantum'"):
        await plane.controller.deploy(path, variant="openvino-int8", who="test")

    assert (await plane.store.release(KEY)).state is ReleaseState.FAILED
    await plane.controller.deploy(path, who="test")
    variant, _ = await who_answers(plane, image)
    assert variant in {"onnxruntime-fp32", "openvino-fp32"}
    log = (plane.backend.server.config.folder / "torchserve.log").read_text()
    assert "variant: student-1.0 serves" in log
