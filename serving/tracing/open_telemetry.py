"""A frame's spans, made with OpenTelemetry's SDK; imported only where tracing is on.

`detect` is the frame, a child of the caller's span where its headers name one. In it lie
`admission` (until the gateway may send and has read the route), `queue` (until the release has a
place) and `torchserve`, one for each backend that was asked; in that one `decode`, `preprocess`,
`inference` and `postprocess`, the worker's own times from its reply. `shadow` is another arm's
answer, a trace of its own that links to the frame's.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.typing import EventDict

from proto.wire.v1 import detection_pb2 as wire
from serving.dataplane.calls import Call
from serving.error_info import CAMERAS_OWN, code_of
from serving.store.values import ReleaseKey
from serving.torchserve.inference import WorkerReply

_W3C = TraceContextTextMapPropagator()
_PARENT = "traceparent"
_NOTHING: AbstractContextManager[object] = nullcontext()
# Names are checked after the span has begun.
_LONGEST_NAME = 128


class OpenTelemetryTracing:
    """Makes the spans of the frames that are sampled.

    Args:
        tracer: Samples frames.
        always: Takes every span: of what belongs to a frame that was sampled.
    """

    def __init__(self, tracer: Tracer, always: Tracer) -> None:
        self._tracer = tracer
        self._always = always

    def frame(self, call: Call, request: wire.DetectRequest) -> AbstractContextManager[object]:
        """See `Tracing`; the frames of a stream link to what its headers name, each in its own."""
        parent, links = Context(), []
        if _PARENT in call.headers:
            named = _W3C.extract(call.headers, Context())
            if call.streamed:
                links = _links(trace.get_current_span(named))
            else:
                parent = named
        span = self._tracer.start_span("detect", parent, SpanKind.SERVER, links=links)
        if span.is_recording():
            names = {"request_id": call.request_id, "camera": request.camera_id}
            span.set_attributes(_attributes(**names, route=request.route))
            return _under_way(span)
        # The caller's decision travels on; where there is none, nothing is to be told of the frame.
        return trace.use_span(span) if parent else _NOTHING

    def step(self, name: str) -> AbstractContextManager[object]:
        """See `Tracing`."""
        return _under_way(self._always.start_span(name)) if _is_sampled() else _NOTHING

    def worker_call(self, key: ReleaseKey, backend: str) -> AbstractContextManager[object]:
        """See `Tracing`."""
        if not _is_sampled():
            return _NOTHING
        said = _attributes(backend=backend, model=key.model, version=key.version)
        return _under_way(
            self._always.start_span("torchserve", kind=SpanKind.CLIENT, attributes=said)
        )

    def shadow(self, arm: str, key: ReleaseKey) -> AbstractContextManager[object]:
        """See `Tracing`; a trace of its own, since the camera's has had its answer.

        A frame that is not sampled has no sampled shadow.
        """
        frame = trace.get_current_span()
        if not frame.get_span_context().trace_flags.sampled:
            return _NOTHING
        said = _attributes(arm=arm, model=key.model, version=key.version)
        return _under_way(
            self._always.start_span("shadow", Context(), attributes=said, links=_links(frame))
        )

    def replied(self, reply: WorkerReply) -> None:
        """See `Tracing`.

        A reply tells how long each stage took and not when: they are drawn one after the other up
        to the reply's arrival, so that what lies before them is the way there and the batch.
        """
        call = trace.get_current_span()
        if not call.is_recording():
            return
        call.set_attributes(_attributes(variant=reply.variant, batch=reply.batch))
        at_ns = time.time_ns()
        for name in ("postprocess", "inference", "preprocess", "decode"):
            began_ns = at_ns - int(getattr(reply, f"{name}_ms") * 1_000_000)
            self._always.start_span(name, start_time=began_ns).end(at_ns)
            at_ns = began_ns

    def cast(self, arm: str, key: ReleaseKey) -> None:
        """See `Tracing`."""
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attributes(_attributes(arm=arm, model=key.model, version=key.version))

    def answered(self, response: wire.DetectResponse) -> None:
        """See `Tracing`."""
        span = trace.get_current_span()
        if not span.is_recording():
            return
        by = response.answered_by
        said = _attributes(arm=by.arm, model=by.model, version=by.version, variant=by.variant)
        said |= _attributes(backend=by.backend, stood_in_for=by.stood_in_for, code="ok")
        span.set_attributes(said | {"understudy.detections": len(response.detections)})

    def headers(self) -> Mapping[str, str]:
        """See `Tracing`."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier


def add_trace(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Have a line of the log name the span that it was said in; a structlog processor."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return event
    ids = {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }
    return {**event, **ids}


@contextmanager
def _under_way(span: Span) -> Iterator[None]:
    """Have a span be the present one for the block, and say how it ended by an error's code.

    An error's text may quote what it should not, and is the log's to tell.
    """
    with trace.use_span(
        span, end_on_exit=True, record_exception=False, set_status_on_exception=False
    ):
        try:
            yield
        except BaseException as error:
            code = code_of(error)
            span.set_attributes({"understudy.code": code, "error.type": code})
            if code not in CAMERAS_OWN:
                span.set_status(Status(StatusCode.ERROR, code))
            raise


def _is_sampled() -> bool:
    return trace.get_current_span().is_recording()


def _links(span: Span) -> list[Link]:
    context = span.get_span_context()
    return [Link(context)] if context.is_valid else []


def _attributes(**said: str | int) -> dict[str, str | int]:
    shown = {
        f"understudy.{name}": value[:_LONGEST_NAME] if isinstance(value, str) else value
        for name, value in said.items()
    }
    return {name: value for name, value in shown.items() if value != ""}
