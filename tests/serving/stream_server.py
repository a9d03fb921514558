"""The real gRPC service on a port, before something that answers frames when a test says so."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc
from serving.access.authenticator import Authenticator
from serving.access.keys import mint
from serving.api.grpc import DetectionService
from serving.api.grpc_listening import bind_grpc, grpc_server
from serving.api.image_budget import ImageBudget
from serving.api.stream_ends import StreamLimits
from serving.dataplane.frames import FrameLimits, check
from serving.dataplane.gateway import Call
from serving.metrics.gateway.metrics import Metrics
from serving.store.values import ApiKey, Scope
from serving.tls.server_tls import ServerTls

IMAGE_LIMIT = 64 * 1024


class Keys:
    """Keys in memory."""

    def __init__(self) -> None:
        self.by_id: dict[str, ApiKey] = {}

    async def add_key(self, key: ApiKey) -> None:
        self.by_id[key.id] = key

    async def key(self, key_id: str) -> ApiKey | None:
        return self.by_id.get(key_id)

    async def keys(self) -> Sequence[ApiKey]:
        return tuple(self.by_id.values())

    async def make(self, name: str) -> tuple[str, str]:
        key, text = mint(name, Scope.DETECT)
        await self.add_key(key)
        return key.id, text

    def revoke(self, key_id: str) -> None:
        key = self.by_id[key_id]
        self.by_id[key_id] = key.model_copy(update={"revoked": key.created})


class Answering:
    """Answers frames, by their ids: those that begin with "held" only once they are let, those
    that begin with "wordy" at great length.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.came: list[str] = []
        self.calls: list[Call] = []
        self.raises: list[Exception] = []
        self._let = asyncio.Event()
        self._changed = asyncio.Condition()

    async def detect(self, request: wire.DetectRequest, call: Call) -> wire.DetectResponse:
        check(request, FrameLimits(IMAGE_LIMIT))
        async with self._changed:
            self.came.append(request.frame_id)
            self.calls.append(call)
            self._changed.notify_all()
        if self.raises:
            raise self.raises.pop(0)
        if request.frame_id.startswith("held"):
            await self._let.wait()
        label = "x" * 50_000 if request.frame_id.startswith("wordy") else "cell"
        return wire.DetectResponse(
            detections=[wire.Detection(label=label)],
            camera_id=request.camera_id,
            frame_id=request.frame_id,
            request_id=call.request_id,
            answered_by=wire.AnsweredBy(arm=self.name),
        )

    def let(self) -> None:
        self._let.set()

    async def until_came(self, *frame_ids: str) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: set(frame_ids) <= set(self.came))


@dataclass
class Served:
    """A running service and what is behind it."""

    address: str
    keys: Keys
    answering: Answering
    metrics: Metrics
    budget: ImageBudget
    stopping: asyncio.Event

    def frames(self, outcome: str) -> float:
        """Return how many frames of streams came to this."""
        found = self.metrics.registry.get_sample_value(
            "understudy_stream_frames_total", {"outcome": outcome}
        )
        return found or 0.0


@asynccontextmanager
async def serving_streams(
    name: str = "student",
    *,
    port: int = 0,
    auth: bool = True,
    budget_bytes: int = 1 << 20,
    stop_timeout_s: float = 5.0,
    tls: ServerTls | None = None,
    **limits: Any,
) -> AsyncIterator[Served]:
    """Serve on 127.0.0.1; keys are looked at again every 20 ms, frames or no frames."""
    keys, answering, metrics, stopping = Keys(), Answering(name), Metrics(), asyncio.Event()
    budget = ImageBudget(budget_bytes)
    service = DetectionService(
        answering,
        Authenticator(keys, reread_after_s=0.0, enabled=auth),
        metrics,
        stopping,
        budget=budget,
        streams=StreamLimits(**{"recheck_s": 0.02, "spread_s": 0.05, **limits}),
    )
    listener = bind_grpc("127.0.0.1", port, image_limit_bytes=IMAGE_LIMIT, tls=tls)
    async with grpc_server(listener, service, stopping=stopping, stop_timeout_s=stop_timeout_s):
        address = f"127.0.0.1:{listener.port}"
        yield Served(address, keys, answering, metrics, budget, stopping)


class Camera:
    """A camera's connection, driven by hand."""

    def __init__(self, call: Any, camera_id: str) -> None:
        self._call = call
        self._camera_id = camera_id

    async def send(self, *frame_ids: str, **fields: Any) -> None:
        for frame_id in frame_ids:
            asked = {"image": b"jpeg", "camera_id": self._camera_id, "frame_id": frame_id, **fields}
            await self._call.write(wire.DetectRequest(**asked))

    async def finish(self) -> None:
        await self._call.done_writing()

    async def next(self) -> wire.DetectResponse:
        async with asyncio.timeout(10):
            answer = await self._call.read()
        assert isinstance(answer, wire.DetectResponse), answer
        return answer

    async def rest(self) -> list[wire.DetectResponse]:
        """Return every answer until the end; raises what the stream ended with."""
        async with asyncio.timeout(10):
            answers = []
            while (answer := await self._call.read()) is not grpc.aio.EOF:
                answers.append(answer)
            return answers

    async def end(self) -> grpc.aio.AioRpcError:
        """Return what the stream ended with."""
        try:
            answers = await self.rest()
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError(f"it ended well, after {len(answers)} answers")


@asynccontextmanager
async def camera(
    served: Served, key: str | None = None, *, camera_id: str = "gate-7", **metadata: str
) -> AsyncIterator[Camera]:
    """Open a connection of its own and a stream on it; metadata names have - for _."""
    given = [(name.replace("_", "-"), value) for name, value in metadata.items()]
    if key is not None:
        given.append(("authorization", f"Bearer {key}"))
    options = (("grpc.use_local_subchannel_pool", 1),)
    async with grpc.aio.insecure_channel(served.address, options=options) as channel:
        stub = detection_pb2_grpc.DetectionServiceStub(channel)
        yield Camera(stub.DetectStream(metadata=tuple(given)), camera_id)
