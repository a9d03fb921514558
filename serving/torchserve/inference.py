"""Frames to TorchServe and detections back; the version is always pinned."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
import structlog

from serving.errors import (
    BackendUnavailable,
    BadImage,
    DeadlineExceeded,
    ImageTooLarge,
    Overloaded,
    StaleRoute,
    UnderstudyError,
    WorkerDied,
    WorkerFailed,
)
from serving.logs.quota import LineQuota
from serving.store.values import ReleaseKey
from serving.tls.peer_tls import IN_CLEAR, PeerTls
from serving.torchserve.tokens import Credential, is_token_refused

_log = structlog.get_logger(__name__)
# One a process: whichever client was asked, they share its log.
_WORKER_FAILED = LineQuota("worker_failed")

REPLY_VERSION = 1
# TorchServe's own queue is full only when the gateway's limits are wrong for a moment.
_RETRY_AFTER_S = 0.5
# What a handler answers to a frame that it cannot read; anything else is not the frame's fault.
_FRAME_REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
# A host that is gone does not even refuse.
_CONNECT_S = 2.0
# TorchServe's words to a frame whose worker's process ended.
_DIED = "Worker died."
# aiohttp warns above this.
_WHOLE_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class WorkerReply:
    """What a worker answers to one frame.

    Attributes:
        width: Of the original image, pixels.
        height: Of the original image, pixels.
        boxes_xyxy_px: x1, y1, x2, y2 of each detection, flat, pixels of the original image.
        scores: One a detection, 0 to 1, highest first.
        class_ids: One a detection.
        variant: Which of the card's variants answered.
        decode_ms: From bytes to pixels.
        preprocess_ms: From pixels to the tensor.
        inference_ms: The model's run, of the whole batch.
        postprocess_ms: From the head to the detections.
        batch: How many frames the run held.
        threads: That the run may have used; None: as many as the engine liked, or the archive is of
            before they were told.
    """

    width: int
    height: int
    boxes_xyxy_px: tuple[float, ...]
    scores: tuple[float, ...]
    class_ids: tuple[int, ...]
    variant: str
    decode_ms: float
    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float
    batch: int
    threads: int | None = None

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a reply.

        Raises:
            WorkerFailed: It is not what the contract says.
        """
        try:
            said = orjson.loads(body)
            if said["v"] != REPLY_VERSION:
                raise WorkerFailed(f"the worker's reply is of version {said['v']}, not 1")
            spent = said["ms"]
            reply = cls(
                width=said["width"],
                height=said["height"],
                boxes_xyxy_px=tuple(said["boxes"]),
                scores=tuple(said["scores"]),
                class_ids=tuple(said["classes"]),
                variant=said["variant"],
                decode_ms=spent["decode"],
                preprocess_ms=spent["preprocess"],
                inference_ms=spent["inference"],
                postprocess_ms=spent["postprocess"],
                batch=said["batch"],
                threads=said.get("threads"),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise WorkerFailed("the worker's reply is not one of this contract") from error
        if not len(reply.boxes_xyxy_px) / 4 == len(reply.scores) == len(reply.class_ids):
            raise WorkerFailed("the worker's reply has boxes, scores and classes of unequal length")
        return reply


class InferenceClient:
    """TorchServe's prediction API over kept-alive connections; an async context manager.

    How many frames go out at once is for the caller to bound.

    Args:
        url: Of the inference listener.
        token: For it.
        further_headers: Returns what else each frame's request carries.
        tls: Over https, whom to trust and who we are.
    """

    def __init__(
        self,
        url: str,
        token: Credential,
        further_headers: Callable[[], Mapping[str, str]] = dict,
        tls: PeerTls = IN_CLEAR,
    ) -> None:
        self._url = url
        self._tls = tls
        self._token = token
        self._further_headers = further_headers
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = self._tls.connector(limit=0, keepalive_timeout=60)
        self._http = aiohttp.ClientSession(
            self._url, connector=connector, auto_decompress=False, raise_for_status=False
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def predict(
        self,
        key: ReleaseKey,
        image: bytes,
        *,
        min_score: float | None = None,
        max_detections: int | None = None,
        timeout_s: float,
        deadline_unix_ms: int | None = None,
    ) -> WorkerReply:
        """Have one frame answered.

        Args:
            key: Which version answers.
            image: The encoded image.
            min_score: Lowest score to return; None: the card's operating thresholds.
            max_detections: At most this many; None: the card's limit.
            timeout_s: How long to wait; TorchServe works on after that, unheard.
            deadline_unix_ms: The worker skips the frame after this moment of its own wall clock;
                None: never.

        Raises:
            BadImage: The worker cannot read the image.
            ImageTooLarge: It has too many pixels or bytes.
            StaleRoute: TorchServe does not know the version.
            Overloaded: TorchServe's queue for it is full, or it has no worker now.
            WorkerFailed: The worker raised or answered nonsense.
            WorkerDied: Its process ended meanwhile.
            BackendUnavailable: TorchServe cannot be reached.
            DeadlineExceeded: The time is over, or was when the worker came to the frame.
        """
        # As headers: TorchServe does not hand a handler the query.
        options = {**self._further_headers()}
        if min_score is not None:
            options["X-Min-Score"] = repr(min_score)
        if max_detections is not None:
            options["X-Max-Detections"] = str(max_detections)
        if deadline_unix_ms is not None:
            options["X-Deadline-Unix-Ms"] = str(deadline_unix_ms)
        path = f"/predictions/{key.model}/{key.version}"
        status, body = await self._send(path, options, image, timeout_s)
        if status == HTTPStatus.BAD_REQUEST and is_token_refused(status, _json(body)):
            # TorchServe was started anew.
            self._token.forget()
            status, body = await self._send(path, options, image, timeout_s)
        if status != HTTPStatus.OK:
            raise refusal(key, status, _json(body))
        return WorkerReply.parse(body)

    async def _send(
        self, path: str, options: dict[str, str], image: bytes, timeout_s: float
    ) -> tuple[int, bytes]:
        if self._http is None:
            raise BackendUnavailable("the inference client is closed", refused=True)
        headers = self._token.header() | {"Content-Type": "application/octet-stream"} | options
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_S)
        # A large body in pieces, so that the others' answers are not held up behind it.
        body = image if len(image) <= _WHOLE_BODY_BYTES else io.BytesIO(image)
        try:
            async with self._http.post(
                path,
                data=body,
                headers=headers,
                timeout=timeout,
                server_hostname=self._tls.name,
            ) as reply:
                return reply.status, await reply.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise BackendUnavailable("nobody listens for TorchServe", refused=True) from error
        except TimeoutError as error:
            raise DeadlineExceeded(f"no answer within {timeout_s * 1000:.0f} ms") from error
        except aiohttp.ClientError as error:
            raise BackendUnavailable("TorchServe cannot be reached") from error


def _json(body: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def refusal(key: ReleaseKey, status: int, said: dict[str, Any]) -> UnderstudyError:
    """Return what an answer that is not a detection stands for."""
    error = said.get("error")
    of_worker = _by_worker(key, status, error) if isinstance(error, dict) else None
    return of_worker or _by_torchserve(key, status, said)


def _by_worker(key: ReleaseKey, status: int, error: dict[str, Any]) -> UnderstudyError | None:
    """Return what the worker's own words on this one frame stand for."""
    if status == HTTPStatus.GATEWAY_TIMEOUT:
        return DeadlineExceeded(f"the deadline passed before a worker of {key} came to the frame")
    if status not in _FRAME_REFUSED:
        return None
    kind = ImageTooLarge if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else BadImage
    return kind(str(error.get("field", "image")), str(error.get("message", "not readable")))


def _words(said: dict[str, Any]) -> str:
    """Return TorchServe's words on a failure, or the worker's on this one frame."""
    error = said.get("error")
    return str((error if isinstance(error, dict) else said).get("message", ""))


def _by_torchserve(key: ReleaseKey, status: int, said: dict[str, Any]) -> UnderstudyError:
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return ImageTooLarge("image", "image: larger than TorchServe takes")
    if status == HTTPStatus.NOT_FOUND:
        return StaleRoute(f"TorchServe does not run {key}")
    if is_token_refused(status, said):
        return BackendUnavailable("TorchServe refuses our token", refused=True)
    if said.get("type") == "ServiceUnavailableException":
        return Overloaded(f"{key} has no free worker", retry_after_s=_RETRY_AFTER_S)
    # What TorchServe says is for the operator, not for whoever sent the frame.
    if _WORKER_FAILED.allows():
        _log.warning("worker_failed", release=str(key), status=status, said=_words(said))
    if said.get("message") == _DIED:
        return WorkerDied(f"a worker of {key} died under the frame")
    return WorkerFailed(f"a worker of {key} failed with {status}; the server's log says more")
