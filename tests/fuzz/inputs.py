"""What an input that a target keeps stands for, so that it can be sent to a real server, too."""

import re
from collections.abc import Iterator

from google.protobuf.message import DecodeError

from proto.wire.v1 import detection_pb2 as wire

_NOT_IN_A_HEADER = re.compile(rb"[^\x20-\x7e\x80-\xff]")
_NOT_IN_A_QUERY = re.compile(rb"[^\x21-\x7e]")
_MOST_MESSAGES = 12


def posted(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return query, media type and body: two lines, and the rest."""
    query, _, rest = data.partition(b"\n")
    media_type, _, body = rest.partition(b"\n")
    return _NOT_IN_A_QUERY.sub(b"", query), _header_value(media_type), body


def v2_posted(data: bytes) -> tuple[bytes, bytes]:
    """Return how long the JSON is said to be, and the body: a line, and the rest."""
    length, _, body = data.partition(b"\n")
    return _header_value(length), body


def messages(data: bytes) -> Iterator[bytes]:
    """Yield a stream's requests, serialised: each its length in two bytes, then itself."""
    at = 0
    for _ in range(_MOST_MESSAGES):
        length = int.from_bytes(data[at : at + 2], "big")
        message, at = data[at + 2 : at + 2 + length], at + 2 + length
        try:
            wire.DetectRequest.FromString(message)
        except DecodeError:
            return  # gRPC itself ends the stream
        yield message
        if at >= len(data):
            return


def _header_value(raw: bytes) -> bytes:
    """Return what an HTTP server would let through as a header's value."""
    return _NOT_IN_A_HEADER.sub(b"", raw).strip()
