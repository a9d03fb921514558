"""What the gRPC clients say and hear beside the messages: metadata, options and errors."""

from collections.abc import Iterable
from typing import Any, TypeVar

import grpc

from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc
from serving.client.errors import rebuilt
from serving.client.lines import Line, Lines
from serving.client.retries import is_down, is_lost
from serving.error_info import ErrorInfo
from serving.errors import (
    BackendUnavailable,
    DeadlineExceeded,
    ImageTooLarge,
    Overloaded,
    UnderstudyError,
    UpstreamError,
)
from serving.tls.client_tls import ClientTls

_ERROR_KEY = "understudy-error-bin"
_RETRY_KEY = "grpc-retry-pushback-ms"
_TIMEOUT_KEY = "x-timeout-ms"
_WHEN_BEHIND_KEY = "x-when-behind"
_CLEAR = "grpc"
_OPTIONS = (
    # TCP gives up what nobody has acknowledged for so long: a gateway that is cut off says nothing.
    ("grpc.keepalive_timeout_ms", 4_000),
    # One that hangs still acknowledges: where nothing was heard for so long it is pinged, and has
    # so long to answer. gRPC 1.85 takes that from this option alone; its default is a minute.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    # Else answers cause pings, which would wait behind frames on a slow line and end it. They
    # would size a window that answers never fill.
    ("grpc.http2.bdp_probe", 0),
    # Else two channels to one address are one connection, and a retry would meet the same gateway.
    ("grpc.use_local_subchannel_pool", 1),
    # This is also how long connecting may take: a host that is down must not eat the deadline.
    ("grpc.min_reconnect_backoff_ms", 2_000),
)

Channel = TypeVar("Channel", grpc.Channel, grpc.aio.Channel)
Metadata = tuple[tuple[str, str], ...]


def metadata_of(key: str | None) -> Metadata:
    """Return what every call carries."""
    return () if key is None else (("authorization", f"Bearer {key}"),)


def stream_metadata(key: str | None, frame_timeout_s: float | None, every_frame: bool) -> Metadata:
    """Return what a stream carries.

    Args:
        key: API key.
        frame_timeout_s: For each frame; None: the route's own.
        every_frame: Whether no frame is to be overtaken.
    """
    metadata = metadata_of(key)
    if frame_timeout_s is not None:
        metadata += ((_TIMEOUT_KEY, str(max(1, round(frame_timeout_s * 1000)))),)
    if every_frame:
        metadata += ((_WHEN_BEHIND_KEY, "wait"),)
    return metadata


def open_channel(address: str, tls: ClientTls | None = None) -> grpc.Channel:
    """Return a blocking channel; it connects when it is first used.

    Args:
        address: HOST:PORT, spoken to by TLS where `tls` is given; grpcs:// or grpc:// before it
            settles that.
        tls: Whom to trust, and who we are.

    Raises:
        ConfigurationError: A file of `tls` cannot be read.
    """
    place, credentials = _secured(address, tls)
    if credentials is None:
        return grpc.insecure_channel(place, options=_OPTIONS)
    return grpc.secure_channel(place, credentials, options=_OPTIONS)


def open_async_channel(address: str, tls: ClientTls | None = None) -> grpc.aio.Channel:
    """Return a channel of the running loop; as `open_channel`."""
    place, credentials = _secured(address, tls)
    if credentials is None:
        return grpc.aio.insecure_channel(place, options=_OPTIONS)
    return grpc.aio.secure_channel(place, credentials, options=_OPTIONS)


def _secured(address: str, tls: ClientTls | None) -> tuple[str, grpc.ChannelCredentials | None]:
    """Return HOST:PORT and what to speak TLS with; None: in clear."""
    scheme, _, place = address.rpartition("://")
    if scheme == _CLEAR or (not scheme and tls is None):
        return place, None
    return place, grpc.ssl_channel_credentials(*(tls or ClientTls()).pem())


def stub(channel: grpc.Channel | grpc.aio.Channel) -> Any:
    """Return the service's methods on a channel of either kind."""
    return detection_pb2_grpc.DetectionServiceStub(channel)  # type: ignore[no-untyped-call] # generated


def failure(error: grpc.RpcError, line: Line[Channel], lines: Lines[Channel]) -> UnderstudyError:
    """Return what a call's end stands for, and have its line replaced where another may do better.

    The server's own word counts, else what gRPC says.
    """
    told = _told(error)
    found = told or _untold(error, line.address)
    # A server that works says itself that it was late.
    silent = told is None and isinstance(found, DeadlineExceeded)
    if silent or is_lost(found):
        lines.failed(line, shun=silent or is_down(found))
    return found


def _told(error: grpc.RpcError) -> UnderstudyError | None:
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return None
    pairs: Iterable[Any] = error.trailing_metadata() or ()
    trailing: dict[str, str | bytes] = dict(pairs)
    told = trailing.get(_ERROR_KEY)
    if not isinstance(told, bytes):
        return None
    said = wire.Error.FromString(told)
    retry_ms = float(trailing.get(_RETRY_KEY, 1000))
    info = ErrorInfo(said.code, said.message, said.field)
    return rebuilt(info, retry_after_s=retry_ms / 1000)


def _untold(error: grpc.RpcError, address: str) -> UnderstudyError:
    """Return what gRPC itself says, not our server."""
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return UpstreamError(f"{address}: {error}")
    code, details = error.code(), str(error.details())
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        if "Concurrent RPC" in details:
            return Overloaded(f"{address}: {details}", retry_after_s=1.0)
        return ImageTooLarge("image", f"image: {address}: {details}")
    kinds: dict[grpc.StatusCode, type[UnderstudyError]] = {
        grpc.StatusCode.UNAVAILABLE: BackendUnavailable,
        # So end the calls of a server that is killed or stops hurriedly, as its connection breaks.
        grpc.StatusCode.CANCELLED: BackendUnavailable,
        grpc.StatusCode.INTERNAL: BackendUnavailable,
        grpc.StatusCode.UNKNOWN: BackendUnavailable,
        grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    }
    return kinds.get(code, UpstreamError)(f"{address}: {code.name}: {details}")
