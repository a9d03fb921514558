"""The Open Inference Protocol over gRPC: thin over the gateway."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import grpc

from proto.open_inference.v2 import inference_pb2 as oip
from proto.open_inference.v2 import inference_pb2_grpc
from serving.api.auth import metadata_key
from serving.api.grpc_errors import REQUEST_ID_KEY, refuse
from serving.api.request_ids import request_id
from serving.api.timeouts import LONGEST_TIMEOUT_S, deadline_of
from serving.api.v2 import V2
from serving.api.v2_infer import infer, repository_refusal
from serving.api.v2_messages import read_message, write_index, write_message, write_model
from serving.api.v2_models import EXTENSIONS, SERVER
from serving.api.v2_options import sooner
from serving.dataplane.calls import Call
from serving.dataplane.deadline import Deadline
from serving.errors import InvalidField
from serving.store.values import ApiKey

TIMEOUT_KEY = "x-timeout-ms"
Context = grpc.aio.ServicerContext[Any, Any]
Message = TypeVar("Message")


class V2Service(inference_pb2_grpc.GRPCInferenceServiceServicer):
    """The protocol's service; names in capitals are its own.

    Args:
        v2: What it stands on.
    """

    def __init__(self, v2: V2) -> None:
        self._v2 = v2
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def idle(self) -> None:
        """Wait until no inference is under way."""
        await self._idle.wait()

    async def ServerLive(  # noqa: N802
        self, _: oip.ServerLiveRequest, __: Context
    ) -> oip.ServerLiveResponse:
        """Answer that the process runs."""
        return oip.ServerLiveResponse(live=True)

    async def ServerReady(  # noqa: N802
        self, _: oip.ServerReadyRequest, __: Context
    ) -> oip.ServerReadyResponse:
        """Tell whether frames can be answered."""
        return oip.ServerReadyResponse(ready=self._v2.models.server_ready())

    async def ModelReady(  # noqa: N802
        self, request: oip.ModelReadyRequest, _: Context
    ) -> oip.ModelReadyResponse:
        """Tell whether a route, or a release of it, can answer."""
        ready = self._v2.models.ready(request.name, request.version)
        return oip.ModelReadyResponse(ready=ready)

    async def ServerMetadata(  # noqa: N802
        self, _: oip.ServerMetadataRequest, context: Context
    ) -> oip.ServerMetadataResponse:
        """Tell who this is."""

        async def answer(_: ApiKey, __: str) -> oip.ServerMetadataResponse:
            version = self._v2.models.server_version
            return oip.ServerMetadataResponse(name=SERVER, version=version, extensions=EXTENSIONS)

        return await self._answered(context, answer)

    async def ModelMetadata(  # noqa: N802
        self, request: oip.ModelMetadataRequest, context: Context
    ) -> oip.ModelMetadataResponse:
        """Tell a route's releases and tensors."""

        async def answer(_: ApiKey, __: str) -> oip.ModelMetadataResponse:
            return write_model(self._v2.models.model(request.name, request.version))

        return await self._answered(context, answer)

    async def RepositoryIndex(  # noqa: N802
        self, request: oip.RepositoryIndexRequest, context: Context
    ) -> oip.RepositoryIndexResponse:
        """List every release of every route."""

        async def answer(_: ApiKey, __: str) -> oip.RepositoryIndexResponse:
            if request.repository_name:
                raise InvalidField(
                    "repository_name", "repository_name: there is one repository, without a name"
                )
            return write_index(self._v2.models.index(only_ready=request.ready))

        return await self._answered(context, answer)

    async def RepositoryModelLoad(  # noqa: N802
        self, _: oip.RepositoryModelLoadRequest, context: Context
    ) -> oip.RepositoryModelLoadResponse:
        """Refuse."""
        return await self._answered(context, _refuse)

    async def RepositoryModelUnload(  # noqa: N802
        self, _: oip.RepositoryModelUnloadRequest, context: Context
    ) -> oip.RepositoryModelUnloadResponse:
        """Refuse."""
        return await self._answered(context, _refuse)

    async def ModelInfer(  # noqa: N802
        self, request: oip.ModelInferRequest, context: Context
    ) -> oip.ModelInferResponse:
        """Answer the images of a request."""

        async def answer(key: ApiKey, id_: str) -> oip.ModelInferResponse:
            with self._v2.budget.account() as account:
                account.take(request.ByteSize())
                return await self._infer(request, context, key, id_)

        with self._under_way():
            return await self._answered(context, answer, api="v2_grpc")

    async def _infer(
        self, request: oip.ModelInferRequest, context: Context, key: ApiKey, id_: str
    ) -> oip.ModelInferResponse:
        asked, metadata = read_message(request), _metadata(context)
        deadline = sooner(_deadline(context, metadata), asked.options.deadline)
        call = Call.of(key, id_, deadline, metadata)
        answer = await infer(asked, self._v2.gateway, self._v2.models, call)
        return write_message(answer, raw=bool(request.raw_input_contents))

    async def _answered(
        self,
        context: Context,
        answer: Callable[[ApiKey, str], Awaitable[Message]],
        *,
        api: str = "",
    ) -> Message:
        """Return the answer to a caller with a good key; end the call with what went wrong.

        Args:
            context: Of the call.
            answer: Gives the answer to a key's holder under a request id.
            api: What to count the answer as; "" leaves it uncounted.
        """
        metadata = _metadata(context)
        id_ = request_id(metadata.get(REQUEST_ID_KEY))
        error: BaseException | None = None
        try:
            key = await self._v2.key_of(metadata_key(metadata.items()))
            response = await answer(key, id_)
        except BaseException as failed:
            error = failed
            if not isinstance(failed, Exception):
                raise
            refuse(context, failed, id_)
            return cast(Message, None)  # beside an error, gRPC sends no answer
        finally:
            if api:
                self._v2.metrics.count_answer(api, error)
            error = None  # a ring otherwise: it knows this call, and the image
        context.set_trailing_metadata(((REQUEST_ID_KEY, id_),))
        return response

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        self._calls += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if self._calls == 0:
                self._idle.set()


async def _refuse(_: ApiKey, __: str) -> Any:
    raise repository_refusal()


def _metadata(context: Context) -> dict[str, str]:
    pairs = context.invocation_metadata() or ()
    return {name: value for name, value in pairs if isinstance(value, str)}


def _deadline(context: Context, metadata: dict[str, str]) -> Deadline | None:
    """Return the sooner of gRPC's own deadline and the one in the metadata."""
    remaining_s = context.time_remaining()
    asked = deadline_of(TIMEOUT_KEY, metadata.get(TIMEOUT_KEY))
    if remaining_s is None or remaining_s > LONGEST_TIMEOUT_S:
        return asked
    return sooner(asked, Deadline.after(remaining_s))
