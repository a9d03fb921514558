"""The deployment's ports: taken before anything starts, held until everything has ended."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from serving.api.listening import bind, hold
from serving.settings import Settings


@dataclass(frozen=True)
class Ports:
    """What children inherit or share; a port stays ours while a child is started again.

    None: nobody here serves it.

    Attributes:
        http: For cameras; all gateways accept from it.
        grpc: Holds the port that the gateways share, and accepts nothing.
        admin: For operators; the controller accepts from it.
        metrics: For Prometheus; the supervisor's own.
    """

    http: socket.socket | None
    grpc: socket.socket | None
    admin: socket.socket | None
    metrics: socket.socket

    def leave(self) -> None:
        """Leave the children's ports to the children: each closes with the last that serves it."""
        for one in (self.http, self.grpc, self.admin):
            if one is not None:
                one.close()


@contextmanager
def taken(settings: Settings) -> Iterator[Ports]:
    """Hold all ports for as long as the block runs.

    Raises:
        ConfigurationError: One is taken, or the host is not ours.
    """
    host, part = settings.host, settings.part
    with ExitStack() as stack:
        keep = stack.enter_context
        gateways, controller = part.answers_cameras, part.leads
        yield Ports(
            http=keep(closing(bind(host, settings.http_port, "http_port"))) if gateways else None,
            grpc=keep(closing(hold(host, settings.grpc_port, "grpc_port"))) if gateways else None,
            admin=(
                keep(closing(bind(host, settings.admin_port, "admin_port"))) if controller else None
            ),
            metrics=keep(closing(bind(host, settings.metrics_port, "metrics_port"))),
        )
