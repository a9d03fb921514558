"""An HTTP request as the wire's request, its size bounded while it is read."""

from collections.abc import AsyncGenerator, Iterator

from google.protobuf.timestamp_pb2 import Timestamp
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from proto.wire.v1 import detection_pb2 as wire
from serving.api.http_errors import UnsupportedMediaType
from serving.dataplane.frames import too_large
from serving.errors import InvalidField

IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp", "application/octet-stream")
MULTIPART = "multipart/form-data"
# What `curl --data-binary @frame.jpg` says unless told otherwise; no form of ours is sent so.
_UNTOLD = "application/x-www-form-urlencoded"
# Field of the message, by the header that may carry it; a query parameter has the field's own name.
HEADERS = {
    "camera_id": "X-Camera-Id",
    "frame_id": "X-Frame-Id",
    "capture_time": "X-Capture-Time",
    "min_score": "X-Min-Score",
    "max_detections": "X-Max-Detections",
    "route": "X-Route",
    "arm": "X-Arm",
}
# Part headers, boundaries and the other fields of a multipart body.
_MULTIPART_ROOM_BYTES = 64 * 1024


async def read_request(request: Request, limit_bytes: int) -> wire.DetectRequest:
    """Read body, query and headers into one message.

    Args:
        request: Nothing of its body read yet.
        limit_bytes: Most bytes of an image.

    Raises:
        UnsupportedMediaType: The body is neither an image nor multipart.
        ImageTooLarge: The body is larger; no more than the limit was held.
        InvalidField: A field is unknown, given twice or does not parse.
    """
    kind = request.headers.get("content-type", IMAGE_TYPES[-1]).partition(";")[0].strip().lower()
    if kind == MULTIPART:
        image, fields = await _multipart(request, limit_bytes)
    elif kind in {*IMAGE_TYPES, _UNTOLD}:
        image, fields = await _raw(request, limit_bytes), []
    else:
        raise UnsupportedMediaType(
            f"content-type: {kind[:64]!r} is not taken; send the image as "
            f"{', '.join(IMAGE_TYPES)}, or {MULTIPART} with a part `image`"
        )
    return _message(image, _collect([*_query(request), *fields], request))


def largest_body(request: Request, limit_bytes: int) -> int:
    """Return how many bytes of a body may have to be held: as announced, else the limit."""
    announced = request.headers.get("content-length", "")
    return min(int(announced), limit_bytes) if announced.isdigit() else limit_bytes


async def _raw(request: Request, limit_bytes: int) -> bytes:
    chunks = [chunk async for chunk in _bounded(request, limit_bytes, limit_bytes)]
    return b"".join(chunks)


async def _bounded(
    request: Request, most_bytes: int, limit_bytes: int
) -> AsyncGenerator[bytes, None]:
    """Yield the body's chunks; a client that announces or sends more than `most_bytes` is cut."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most_bytes:
        raise too_large(limit_bytes, f"{announced} bytes")
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most_bytes:
            raise too_large(limit_bytes, f"more than {limit_bytes} bytes")
        yield chunk


async def _multipart(request: Request, limit_bytes: int) -> tuple[bytes, list[tuple[str, str]]]:
    most_bytes = limit_bytes + _MULTIPART_ROOM_BYTES
    parser = MultiPartParser(
        request.headers,
        _bounded(request, most_bytes, limit_bytes),
        max_files=1,
        max_fields=len(HEADERS),
        max_part_size=_MULTIPART_ROOM_BYTES,
    )
    parser.spool_max_size = most_bytes  # never to the disk: the size is bounded already
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidField("body", f"body: not readable as {MULTIPART}: {error.message}") from error
    except ValueError as error:  # the charset it names reads nothing, or not this
        raise _not_text() from error
    try:
        return await _image_part(form), list(_fields(form))
    finally:
        await form.close()


def _fields(form: FormData) -> Iterator[tuple[str, str]]:
    for name, value in form.multi_items():
        if isinstance(value, str):
            if not _is_text(name + value):
                raise _not_text()
            yield name, value


def _is_text(value: str) -> bool:
    """Whether it can be written as UTF-8: some charsets read bytes as halves of characters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_text() -> InvalidField:
    return InvalidField("body", f"body: a field of the {MULTIPART} is not text; send it as UTF-8")


async def _image_part(form: FormData) -> bytes:
    for name, part in form.multi_items():
        if isinstance(part, UploadFile) and name == "image":
            return await part.read()
    raise InvalidField(
        "image", "image: no part of this name with a file name (curl: -F image=@frame.jpg)"
    )


def _query(request: Request) -> Iterator[tuple[str, str]]:
    yield from request.query_params.multi_items()


def _collect(given: list[tuple[str, str]], request: Request) -> dict[str, str]:
    """Return the fields by name: of the query and the form, else of the headers."""
    fields: dict[str, str] = {}
    for name, value in given:
        if name not in HEADERS:
            known = ", ".join(HEADERS)
            raise InvalidField(name[:64], f"{name[:64]}: no such field; there are {known}")
        if name in fields:
            raise InvalidField(name, f"{name}: given twice; send it once")
        fields[name] = value
    from_headers = {name: request.headers.get(header) for name, header in HEADERS.items()}
    return {name: value for name, value in from_headers.items() if value is not None} | fields


def _message(image: bytes, fields: dict[str, str]) -> wire.DetectRequest:
    return wire.DetectRequest(
        image=image,
        camera_id=fields.get("camera_id", ""),
        frame_id=fields.get("frame_id", ""),
        capture_time=_timestamp(fields.get("capture_time")),
        min_score=_number("min_score", fields.get("min_score")),
        max_detections=_count("max_detections", fields.get("max_detections")),
        route=fields.get("route", ""),
        arm=fields.get("arm", ""),
    )


def _timestamp(text: str | None) -> Timestamp | None:
    if text is None:
        return None
    timestamp = Timestamp()
    try:
        timestamp.FromJsonString(text)
    except ValueError as error:
        raise InvalidField(
            "capture_time",
            f"capture_time: {text[:40]!r} is not like 2026-01-31T12:00:00.250Z (RFC 3339)",
        ) from error
    return timestamp


def _number(field: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise InvalidField(field, f"{field}: {text[:32]!r} is not a number") from error


def _count(field: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidField(field, f"{field}: {text[:32]!r} is not a whole number up to 999999999")
    return int(text)
