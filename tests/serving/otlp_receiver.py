"""A collector in the test's own process: takes spans as OTLP over HTTP and keeps them."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What was received.

    Attributes:
        url: For OTEL_EXPORTER_OTLP_ENDPOINT.
        resources: Of the senders, by their `service.instance.id`.
    """

    def __init__(self) -> None:
        self.url = ""
        self.resources: dict[str, dict[str, str]] = {}
        self._spans: list[Span] = []
        self._came = threading.Condition()

    def take(self, body: bytes) -> None:
        """Keep what a request holds."""
        request = ExportTraceServiceRequest.FromString(body)
        with self._came:
            for one in request.resource_spans:
                resource = attributes(one.resource)
                self.resources[resource["service.instance.id"]] = resource
                for scope in one.scope_spans:
                    self._spans.extend(scope.spans)
            self._came.notify_all()

    def traces(self) -> dict[bytes, list[Span]]:
        """The spans so far by their trace, in the order of their beginnings."""
        found: dict[bytes, list[Span]] = defaultdict(list)
        with self._came:
            for span in sorted(self._spans, key=lambda span: span.start_time_unix_nano):
                found[span.trace_id].append(span)
        return dict(found)

    def spans(self, name: str) -> list[Span]:
        """All spans of a name."""
        with self._came:
            return [span for span in self._spans if span.name == name]

    def until(self, reached: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Wait until what has come is enough."""
        with self._came:
            assert self._came.wait_for(reached, timeout_s), [span.name for span in self._spans]


def attributes(held: Any) -> dict[str, Any]:
    """A span's or resource's attributes as plain values."""
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value")
        for one in held.attributes
    }


@contextmanager
def otlp_receiver() -> Iterator[Collector]:
    """Receive for as long as the block runs."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.rfile.read(int(self.headers["Content-Length"])))
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *said: Any) -> None:
            del said

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_address[1]}"
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            yield collector
        finally:
            server.shutdown()
            serving.join()
