"""Who asks for a frame's detections, and until when."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.dataplane.deadline import Deadline
from serving.store.values import ApiKey, Scope


@dataclass(frozen=True)
class Call:
    """One request's circumstances.

    Attributes:
        request_id: Told in the answer and in the log.
        scope: Of the caller's key.
        deadline: When the caller stops waiting; None: the route's own timeout.
        headers: Names lower-case; a route may split by one. They hold keys: never logged.
        streamed: Whether the headers are of a stream, and so of many frames.
        key_id: Of the caller's key.
        frames_per_second: What the key may have answered; None: no limit.
    """

    request_id: str
    scope: Scope
    deadline: Deadline | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    streamed: bool = False
    key_id: str = ""
    frames_per_second: float | None = None

    @classmethod
    def of(
        cls,
        key: ApiKey,
        request_id: str,
        deadline: Deadline | None,
        headers: Mapping[str, str],
        *,
        streamed: bool = False,
    ) -> "Call":
        """Return the call of a key's holder; the attributes say more."""
        return cls(
            request_id,
            key.scope,
            deadline,
            headers,
            streamed,
            key_id=key.id,
            frames_per_second=key.frames_per_second,
        )
