"""The Open Inference Protocol's two ways in, before something that answers by the image's bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType

import grpc
import httpx
from fastapi import FastAPI

from proto.open_inference.v2 import inference_pb2_grpc
from proto.wire.v1 import detection_pb2 as wire
from serving.access.authenticator import Authenticator
from serving.access.keys import mint
from serving.api.http_errors import answer_errors
from serving.api.image_budget import ImageBudget
from serving.api.v2 import V2
from serving.api.v2_grpc import V2Service
from serving.api.v2_http import add_v2_http
from serving.api.v2_models import Models
from serving.dataplane.calls import Call
from serving.dataplane.frames import FrameLimits, check
from serving.dataplane.route_table import RouteTable
from serving.dataplane.routing import forced, pick
from serving.errors import BadImage, Overloaded, PermissionDenied
from serving.metrics.gateway.metrics import Metrics
from serving.store.values import ApiKey, Arm, Release, ReleaseKey, ReleaseState, Route, Scope

IMAGE_LIMIT = 64 * 1024
LABELS = ("cell", "plate")


def release(model: str, state: ReleaseState = ReleaseState.LIVE) -> Release:
    now = datetime.now(UTC)
    return Release(
        key=ReleaseKey(model=model, version="1.0"),
        sha256="0" * 64,
        role="student",
        class_names=LABELS,
        operating_thresholds=(0.25, 0.25),
        quality_measured=True,
        state=state,
        created=now,
        updated=now,
    )


def route(name: str, **weights: float) -> Route:
    arms = tuple(
        Arm(name=model, release=ReleaseKey(model=model, version="1.0"), weight=weight)
        for model, weight in weights.items()
    )
    return Route(name=name, arms=arms)


def table(*routes: Route, state: ReleaseState = ReleaseState.LIVE) -> RouteTable:
    releases = {one.key: one for one in (release("teacher", state), release("student", state))}
    return RouteTable(
        1,
        MappingProxyType({one.name: one for one in routes}),
        MappingProxyType(releases),
    )


BOTH = table(route("default", teacher=50, student=50), route("solo", student=100, teacher=0))


@dataclass
class Keys:
    """Keys in memory."""

    by_id: dict[str, ApiKey] = field(default_factory=dict)

    async def add_key(self, key: ApiKey) -> None:
        self.by_id[key.id] = key

    async def key(self, key_id: str) -> ApiKey | None:
        return self.by_id.get(key_id)

    async def keys(self) -> tuple[ApiKey, ...]:
        return tuple(self.by_id.values())


@dataclass
class Answering:
    """Gives each image as many detections as it has bytes, modulo 4; some words are special.

    b"bad" does not decode, b"full" meets a full release, b"broken" a bug, and b"held" is answered
    once all of `together` frames came.
    """

    routes: RouteTable = BOTH
    limits: FrameLimits = field(default_factory=lambda: FrameLimits(IMAGE_LIMIT))
    calls: list[Call] = field(default_factory=list)
    cancelled: int = 0
    together: int = 0
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def detect(self, request: wire.DetectRequest, call: Call) -> wire.DetectResponse:
        frame = check(request, self.limits)
        found = self.routes.route(frame.route)
        if frame.arm and not call.scope.reaches(Scope.ADMIN):
            raise PermissionDenied("arm: needs a key of scope admin")
        arm = forced(found, frame.arm) if frame.arm else pick(found, frame.camera_id)
        self.calls.append(call)
        await self._special(frame.image)
        count = min(len(frame.image) % 4, frame.max_detections or 4)
        return wire.DetectResponse(
            detections=[_detection(place) for place in range(count)],
            answered_by=wire.AnsweredBy(
                arm=arm.name,
                model=arm.release.model,
                version=arm.release.version,
                variant="onnxruntime-fp32",
                backend="torchserve-0",
            ),
        )

    async def _special(self, image: bytes) -> None:
        if image == b"bad":
            raise BadImage("image", "image: not a JPEG, PNG or WebP")
        if image == b"full":
            raise Overloaded("student-1.0 is full", retry_after_s=1.5)
        if image == b"broken":
            raise ValueError("password=hunter2")
        if image == b"held":
            try:
                async with self._came:
                    self._came.notify_all()
                    await self._came.wait_for(lambda: len(self.calls) >= self.together)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise


def _detection(place: int) -> wire.Detection:
    return wire.Detection(
        box=wire.Box(x1=place + 0.1, y1=place, x2=place + 10, y2=place + 20.25),
        class_id=place % 2,
        label=LABELS[place % 2],
        score=0.9 - place / 10,
    )


@dataclass
class Served:
    """What a test of V2 holds.

    Attributes:
        http: Speaks to it, with a key of scope detect.
        stub: Speaks to it over gRPC; `metadata` is its key.
        metadata: See `stub`.
        address: Of gRPC.
        answering: What is behind it.
        keys: A key's text by its scope.
        metrics: Of the gateway.
        budget: Of the gateway.
        service: Over gRPC.
    """

    http: httpx.AsyncClient
    stub: inference_pb2_grpc.GRPCInferenceServiceStub
    metadata: tuple[tuple[str, str], ...]
    address: str
    answering: Answering
    keys: dict[Scope, str]
    metrics: Metrics
    budget: ImageBudget
    service: V2Service


def models(routes: RouteTable = BOTH, reason: str | None = None) -> Models:
    return Models(lambda: routes, lambda: reason)


@cache
def minted(scope: Scope) -> tuple[ApiKey, str]:
    return mint(f"the {scope} key", scope)


@asynccontextmanager
async def serving_v2(
    routes: RouteTable = BOTH, *, reason: str | None = None, budget_bytes: int = 1 << 20
) -> AsyncIterator[Served]:
    """Serve REST in this process and gRPC on a port of 127.0.0.1."""
    store, texts = Keys(), {}
    for scope in (Scope.DETECT, Scope.ADMIN):
        key, texts[scope] = minted(scope)
        await store.add_key(key)
    answering, metrics, budget = Answering(routes), Metrics(), ImageBudget(budget_bytes)
    v2 = V2(answering, models(routes, reason), Authenticator(store), metrics, budget)
    app = FastAPI()
    answer_errors(app)
    add_v2_http(app, v2)
    service, server = V2Service(v2), grpc.aio.server()
    inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    bearer = f"Bearer {texts[Scope.DETECT]}"
    async with (
        httpx.AsyncClient(
            transport=transport, base_url="http://gateway", headers={"Authorization": bearer}
        ) as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        metadata = (("authorization", bearer),)
        address = f"127.0.0.1:{port}"
        yield Served(http, stub, metadata, address, answering, texts, metrics, budget, service)
    await server.stop(None)
