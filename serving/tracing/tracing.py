"""What the data plane tells of a frame while it is under way; telling nobody costs nothing."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from proto.wire.v1 import detection_pb2 as wire
from serving.dataplane.calls import Call
from serving.store.values import ReleaseKey
from serving.torchserve.inference import WorkerReply


class Tracing(Protocol):
    """Is told of a frame's steps, in the tasks that take them: what is inside one is its child."""

    def frame(self, call: Call, request: wire.DetectRequest) -> AbstractContextManager[object]:
        """The block answers a frame; an error that leaves it is the frame's end.

        Args:
            call: Its headers may name the caller's own span (W3C Trace Context).
            request: Not checked yet.
        """

    def step(self, name: str) -> AbstractContextManager[object]:
        """The block is a step of the gateway's own: "queue"."""

    def worker_call(self, key: ReleaseKey, backend: str) -> AbstractContextManager[object]:
        """The block has a worker of `key` on `backend` answer the frame."""

    def shadow(self, arm: str, key: ReleaseKey) -> AbstractContextManager[object]:
        """The block has a second arm answer the frame of the step that started it, unheard."""

    def replied(self, reply: WorkerReply) -> None:
        """The worker that is being called has answered; its own times are in the reply."""

    def cast(self, arm: str, key: ReleaseKey) -> None:
        """An arm is to answer the frame; the one that is told last is whose end the frame's is."""

    def answered(self, response: wire.DetectResponse) -> None:
        """The frame has an answer."""

    def headers(self) -> Mapping[str, str]:
        """Return what a request to a worker carries: its spans could be children of ours."""


class Untraced:
    """Tells nobody."""

    _NOTHING: AbstractContextManager[object] = nullcontext()
    _NONE: Mapping[str, str] = {}

    def frame(self, call: Call, request: wire.DetectRequest) -> AbstractContextManager[object]:
        """Do nothing."""
        del call, request
        return self._NOTHING

    def step(self, name: str) -> AbstractContextManager[object]:
        """Do nothing."""
        del name
        return self._NOTHING

    def worker_call(self, key: ReleaseKey, backend: str) -> AbstractContextManager[object]:
        """Do nothing."""
        del key, backend
        return self._NOTHING

    def shadow(self, arm: str, key: ReleaseKey) -> AbstractContextManager[object]:
        """Do nothing."""
        del arm, key
        return self._NOTHING

    def replied(self, reply: WorkerReply) -> None:
        """Do nothing."""

    def cast(self, arm: str, key: ReleaseKey) -> None:
        """Do nothing."""

    def answered(self, response: wire.DetectResponse) -> None:
        """Do nothing."""

    def headers(self) -> Mapping[str, str]:
        """Return nothing."""
        return self._NONE
