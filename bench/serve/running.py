"""A server under test, while it runs."""

from dataclasses import dataclass, field

from bench.serve.processes import Find


@dataclass(frozen=True)
class Running:
    """Where it takes images, and whose processor time is its own.

    Attributes:
        server: As the contestant names it.
        url: Takes images by POST.
        groups: Its processes now, by group.
        headers: Sent with each request: its key.
        grpc_address: Of ours alone.
        key: Likewise.
        metrics_url: Likewise.
    """

    server: str
    url: str
    groups: Find
    headers: dict[str, str] = field(default_factory=dict)
    grpc_address: str = ""
    key: str = ""
    metrics_url: str = ""


class ServerFailed(Exception):
    """A server did not come to answer; the message holds its last words."""
