"""A V2 inference request, whichever way it came in: its images pass the gateway side by side."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from proto.wire.v1 import detection_pb2 as wire
from serving.api.v2_models import Models
from serving.api.v2_options import Options
from serving.api.v2_tensors import OUTPUTS, Tensor, outputs_of
from serving.dataplane.calls import Call
from serving.dataplane.frames import FrameLimits
from serving.errors import RequestError, StaleRoute, UnderstudyError

# Fields of AnsweredBy that are told as parameters.
_TOLD = ("arm", "model", "version", "variant", "backend", "stood_in_for")


class Detects(Protocol):
    """The gateway's use case, and all that V2 needs of it."""

    limits: FrameLimits

    async def detect(self, request: wire.DetectRequest, call: Call) -> wire.DetectResponse:
        """Answer one frame; see `Gateway.detect`."""


@dataclass(frozen=True)
class InferRequest:
    """A request whose form was checked.

    Attributes:
        model: A route's name.
        version: A release of it, or "".
        id: The caller's, returned untouched.
        images: Encoded.
        options: Its parameters.
        outputs: Names, in the order that they are wanted in.
    """

    model: str
    version: str
    id: str
    images: Sequence[bytes]
    options: Options = field(default_factory=Options)
    outputs: tuple[str, ...] = tuple(OUTPUTS)


@dataclass(frozen=True)
class InferAnswer:
    """What is answered.

    Attributes:
        model: As asked.
        version: The release that answered.
        id: As asked.
        parameters: Who answered; a list with commas, one an image, where the images differ.
        outputs: Tensors.
    """

    model: str
    version: str
    id: str
    parameters: dict[str, str]
    outputs: Sequence[Tensor]


async def infer(request: InferRequest, gateway: Detects, models: Models, call: Call) -> InferAnswer:
    """Answer all images of a request, or none: the first failure is the request's.

    Raises:
        UnderstudyError: As `Gateway.detect`; or the version asked for is no longer the route's.
    """
    arm = request.options.arm or models.forced_arm(request.model, request.version)
    frames = [_frame(request, image, arm) for image in request.images]
    responses = await _answers(gateway, frames, call)
    versions = [f"{one.answered_by.model}-{one.answered_by.version}" for one in responses]
    if request.version and set(versions) != {request.version}:
        raise StaleRoute(
            f"model_version: {', '.join(sorted(set(versions)))} answered, not {request.version}; "
            "the route has changed or a fallback stood in: try again"
        )
    return InferAnswer(
        model=request.model,
        version=_one_or_each(versions),
        id=request.id,
        parameters=_parameters(responses),
        outputs=outputs_of(responses, request.outputs),
    )


def repository_refusal() -> RequestError:
    """Return the error for whoever wants to load or unload a model."""
    return RequestError(
        "models are not loaded or unloaded here: an operator does so with `understudy deploy` and "
        "`understudy route set`"
    )


def _frame(request: InferRequest, image: bytes, arm: str) -> wire.DetectRequest:
    options = request.options
    return wire.DetectRequest(
        image=image,
        camera_id=options.camera_id,
        frame_id=options.frame_id,
        min_score=options.min_score,
        max_detections=options.max_detections,
        route=request.model,
        arm=arm,
    )


async def _answers(
    gateway: Detects, frames: Sequence[wire.DetectRequest], call: Call
) -> list[wire.DetectResponse]:
    if len(frames) == 1:
        return [await gateway.detect(frames[0], call)]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_one_of(gateway, frame, call, place, len(frames)))
                for place, frame in enumerate(frames)
            ]
    except ExceptionGroup as failed:
        # The others were called off with it.
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def _one_of(
    gateway: Detects, frame: wire.DetectRequest, call: Call, place: int, count: int
) -> wire.DetectResponse:
    try:
        return await gateway.detect(frame, call)
    except UnderstudyError as error:
        error.message = f"image {place} of 0 to {count - 1}: {error.message}"
        raise


def _parameters(responses: Sequence[wire.DetectResponse]) -> dict[str, str]:
    values = {name: [str(getattr(one.answered_by, name)) for one in responses] for name in _TOLD}
    return {name: _one_or_each(each) for name, each in values.items() if any(each)}


def _one_or_each(values: Sequence[str]) -> str:
    return values[0] if len(set(values)) == 1 else ",".join(values)
