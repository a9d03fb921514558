"""The gRPC service on a port, inside our own loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from grpc_health.v1.health import aio as health_aio  # type: ignore[attr-defined] # no type has it
from grpc_reflection.v1alpha import reflection

from proto.open_inference.v2 import inference_pb2 as oip
from proto.open_inference.v2 import inference_pb2_grpc
from proto.wire.v1 import detection_pb2 as wire
from proto.wire.v1 import detection_pb2_grpc
from serving.api.grpc import DetectionService
from serving.api.listening import authority, taken
from serving.api.v2_grpc import V2Service
from serving.tls.identity import Identity
from serving.tls.server_tls import ServerTls

SERVICE = wire.DESCRIPTOR.services_by_name["DetectionService"].full_name
V2_SERVICE = oip.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
# For the last answers to leave.
_FLUSH_S = 0.2
# Up to here an image over the limit is told so in our own words, and ends only its own frame.
_READABLE_LIMITS = 2
_OTHER_FIELDS_BYTES = 1024 * 1024
# A call of its own for each stream; each holds a few frames beside the budget while it is read.
_MOST_CALLS = 2048
# A stream's spread, and its last answers.
_LATER, _LAST_ANSWERS_S = 1.2, 300.0


class Health(Protocol):
    """Tells clients of grpc.health.v1 whether frames are answered."""

    async def set(self, service: str, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        """Set one service's status; "" is the server's."""


@dataclass(frozen=True)
class GrpcListener:
    """A server that holds its port and serves nothing yet.

    Attributes:
        server: gRPC's.
        port: The actual port.
    """

    server: grpc.aio.Server
    port: int


def bind_grpc(
    host: str,
    port: int,
    *,
    image_limit_bytes: int,
    connection_age_s: float = 1800.0,
    shared: bool = False,
    tls: ServerTls | None = None,
) -> GrpcListener:
    """Take a port, and serve nothing yet.

    Args:
        host: Address to listen on; of IPv6 without brackets.
        port: 0 takes any free one.
        image_limit_bytes: Largest encoded image.
        connection_age_s: After about this long a client is asked to connect again.
        shared: The port is held by `listening.hold`, and processes of ours share it.
        tls: Of every connection; None: they are in clear.

    Raises:
        ConfigurationError: The port is taken or the host is not ours.
    """
    server = grpc.aio.server(
        options=_options(image_limit_bytes, connection_age_s, shared=shared),
        maximum_concurrent_rpcs=_MOST_CALLS,
    )
    place = authority(host, port)
    try:
        if tls is None:
            return GrpcListener(server, server.add_insecure_port(place))
        return GrpcListener(server, server.add_secure_port(place, _credentials(tls)))
    except RuntimeError as error:
        raise taken("grpc_port", host, port) from error


@asynccontextmanager
async def grpc_server(
    listener: GrpcListener,
    service: DetectionService,
    *,
    stopping: asyncio.Event,
    stop_timeout_s: float,
    v2: V2Service | None = None,
) -> AsyncIterator[Health]:
    """Serve until the block ends; calls under way then get `stop_timeout_s` to finish.

    Args:
        listener: From `bind_grpc`.
        service: The wire's.
        stopping: Set once nobody new is sent here: streams then end.
        stop_timeout_s: In seconds.
        v2: The Open Inference Protocol's, beside it; None: it is not served.

    Yields:
        What tells whether frames are answered: `set` it.
    """
    server = listener.server
    health = health_aio.HealthServicer()
    detection_pb2_grpc.add_DetectionServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call] # generated
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    names = [SERVICE, HEALTH, reflection.SERVICE_NAME]
    if v2 is not None:
        inference_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(v2, server)  # type: ignore[no-untyped-call] # generated
        names.append(V2_SERVICE)
    reflection.enable_server_reflection(names, server)
    await server.start()
    try:
        yield health
    finally:
        # First nobody new is sent here, then those who are here are sent away.
        await health.enter_graceful_shutdown()
        stopping.set()
        ending = asyncio.create_task(server.stop(stop_timeout_s))
        with suppress(TimeoutError):
            async with asyncio.timeout(stop_timeout_s):
                await service.idle()
                if v2 is not None:
                    await v2.idle()
        # What is left are those who watch our health or our schema: they would stay for ever.
        await server.stop(_FLUSH_S)
        await ending


def _credentials(tls: ServerTls) -> grpc.ServerCredentials:
    """Return what gives each handshake the newest certificate; streams that stand keep theirs."""
    return grpc.dynamic_ssl_server_credentials(
        _configuration(tls.identity),
        _newer(tls),  # type: ignore[arg-type] # None is documented; the stubs do not know
        require_client_authentication=tls.identity.client_ca_pem is not None,
    )


def _newer(tls: ServerTls) -> Callable[[], grpc.ServerCertificateConfiguration | None]:
    """Return what gRPC asks, in a thread of its own, before each handshake; None: as before."""
    told = tls.identity

    def newer() -> grpc.ServerCertificateConfiguration | None:
        nonlocal told
        identity = tls.identity
        if identity is told:
            return None
        told = identity
        return _configuration(identity)

    return newer


def _configuration(identity: Identity) -> grpc.ServerCertificateConfiguration:
    pair = (identity.key_pem, identity.chain_pem)
    return grpc.ssl_server_certificate_configuration([pair], identity.client_ca_pem)


def _options(
    image_limit_bytes: int, connection_age_s: float, *, shared: bool
) -> list[tuple[str, int]]:
    return [
        # A stranger's server on our port must be an error, not a silent half of the traffic.
        ("grpc.so_reuseport", int(shared)),
        ("grpc.max_receive_message_length", _message_limit(image_limit_bytes)),
        # One without streams is asked to go elsewhere as a stream is; gRPC spreads it by itself.
        # One with streams goes with the last of them, which ends by itself before the grace does.
        ("grpc.max_connection_age_ms", round(connection_age_s * 1000)),
        (
            "grpc.max_connection_age_grace_ms",
            round((connection_age_s * _LATER + _LAST_ANSWERS_S) * 1000),
        ),
        # Find cameras that vanished, and let live ones ping every 10 s through their NAT: on a line
        # whose delay varies some come sooner, and three such would end a quiet connection.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ]


def _message_limit(image_limit_bytes: int) -> int:
    return _READABLE_LIMITS * image_limit_bytes + _OTHER_FIELDS_BYTES
