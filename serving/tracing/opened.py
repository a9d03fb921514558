"""Opens tracing where it is wanted: by a setting, or by OpenTelemetry's own variables."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

import structlog

from serving.errors import ConfigurationError
from serving.tracing.tracing import Tracing, Untraced

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

_log = structlog.get_logger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXPORTER = "opentelemetry.exporter.otlp.proto.http"
_PROTOCOL = "http/protobuf"
_SAMPLER = "OTEL_TRACES_SAMPLER"
# What a collector that is away may hold up the end for.
_LAST_SPANS_S = 3.0


@asynccontextmanager
async def opened(
    wanted: bool | None, *, share: float, process: str, instance: str
) -> AsyncIterator[Tracing]:
    """Trace for as long as the block runs, and send the last spans at its end.

    Args:
        wanted: Whether to; None: as the environment says.
        share: Of the frames, 0 to 1, unless OTEL_TRACES_SAMPLER says otherwise; a frame whose
            caller has decided goes by that.
        process: For people: "gateway-1".
        instance: Unique to the process.

    Raises:
        ConfigurationError: It is wanted by setting and cannot be.
    """
    if not is_wanted(wanted, os.environ):
        yield Untraced()
        return
    try:
        sdk = _checked_sdk(share, process, instance)
    except ConfigurationError as error:
        if wanted:
            raise
        _log.warning("not_traced", why=error.message)
        yield Untraced()
        return
    async with _traced(sdk) as tracing:
        yield tracing


def is_wanted(wanted: bool | None, environment: Mapping[str, str]) -> bool:
    """Whether frames are traced; OTEL_SDK_DISABLED=true beats everything else.

    Args:
        wanted: The setting; None: it says nothing.
        environment: Of the process.
    """
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if wanted is not None:
        return wanted
    if exporters := environment.get("OTEL_TRACES_EXPORTER"):
        return "otlp" in exporters.lower().split(",")
    return any(environment.get(name) for name in _ENDPOINTS)


def _check(environment: Mapping[str, str]) -> None:
    protocol = next((environment[name] for name in _PROTOCOLS if environment.get(name)), _PROTOCOL)
    if protocol != _PROTOCOL:
        raise ConfigurationError(
            f"tracing: OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}, and spans are sent as "
            f"{_PROTOCOL} only: a collector's port 4318 takes that"
        )
    if not _is_installed():
        raise ConfigurationError(
            "tracing: OpenTelemetry is not installed: pip install 'understudy[tracing]'; "
            "OTEL_SDK_DISABLED=true serves without"
        )


def _checked_sdk(share: float, process: str, instance: str) -> "_Sdk":
    _check(os.environ)
    try:
        return _sdk(share, process, instance)
    except Exception as error:
        raise ConfigurationError(
            f"tracing: OpenTelemetry cannot use its OTEL_ variables: {error}; set them right, "
            "or OTEL_SDK_DISABLED=true serves without"
        ) from error


def _is_installed() -> bool:
    try:
        return find_spec(_EXPORTER) is not None
    except ModuleNotFoundError:  # a package above it is missing
        return False


@asynccontextmanager
async def _traced(sdk: "_Sdk") -> AsyncIterator[Tracing]:
    from serving.tracing.open_telemetry import OpenTelemetryTracing, add_trace  # noqa: PLC0415

    providers = (sdk.sampled, sdk.always)
    for provider in providers:
        provider.add_span_processor(sdk.sending)
    processors = structlog.get_config()["processors"]
    structlog.configure(processors=[add_trace, *processors])
    _log.info("tracing", sampler=sdk.sampled.sampler.get_description())
    try:
        yield OpenTelemetryTracing(*(one.get_tracer("understudy") for one in providers))
    finally:
        structlog.configure(processors=processors)
        # A daemon: nobody waits for a collector that is away.
        last = threading.Thread(target=sdk.sending.shutdown, daemon=True)
        last.start()
        await asyncio.to_thread(last.join, _LAST_SPANS_S)


class _Sdk(NamedTuple):
    """What is used of OpenTelemetry's SDK: who samples, who takes every span, who sends them."""

    sampled: "TracerProvider"
    always: "TracerProvider"
    sending: "BatchSpanProcessor"


def _sdk(share: float, process: str, instance: str) -> _Sdk:
    """Return the SDK as its own variables say, and we where they say nothing."""
    # Here, so that serving without needs none of them.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import (  # noqa: PLC0415
        ALWAYS_ON,
        ParentBased,
        TraceIdRatioBased,
    )

    # Two variables may name the service; what is passed to `create` would beat both.
    named = OTELResourceDetector().detect().attributes.get("service.name")
    ours = {
        "service.name": str(named or "understudy"),
        "service.version": version("understudy"),
        "service.instance.id": instance,
        "understudy.process": process,
    }
    resource = Resource.create(ours)
    sampler = None if os.environ.get(_SAMPLER) else ParentBased(TraceIdRatioBased(share))
    sampled, always = (
        TracerProvider(sampler=one, resource=resource, shutdown_on_exit=False)
        for one in (sampler, ALWAYS_ON)
    )
    # Last, since it starts a thread.
    return _Sdk(sampled, always, BatchSpanProcessor(OTLPSpanExporter()))
