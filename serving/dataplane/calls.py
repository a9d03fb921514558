"""Who asks for a frame's detections, and until when."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.dataplane.deadline import Deadline
from serving.store.values import Scope


@dataclass(frozen=True)
class Call:
    """One request's circumstances.

    Attributes:
        request_id: Told in the answer and in the log.
        scope: Of the caller's key.
        deadline: When the caller stops waiting; None: the route's own timeout.
        headers: Names lower-case; a route may split by one. They hold keys: never logged.
        streamed: Whether the headers are of a stream, and so of many frames.
    """

    request_id: str
    scope: Scope
    deadline: Deadline | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    streamed: bool = False
