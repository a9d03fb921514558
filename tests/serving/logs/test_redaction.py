"""Secrets and images are planted everywhere in a line; none of them comes out."""

import base64
import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from proto.wire.v1 import detection_pb2 as wire
from serving.keys import mint
from serving.logs.redaction import redact, scrubbed
from serving.logs.styles import LogFormat
from serving.store.values import Scope

ROW, KEY = mint("gate", Scope.DETECT)
SECRET = KEY.rpartition(f"{ROW.id}_")[2]
IMAGE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 2
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIsecretsecret\n-----END EC PRIVATE KEY-----\n"
# What is planted, and what of it must not be found.
TEXTS = [
    (KEY, SECRET),
    (f"Authorization: Bearer {KEY}", SECRET),
    ("{'Authorization': 'Bearer Xq9fTok8'}", "Xq9fTok8"),
    ("authorization: Basic bWU6c2VjcmV0", "bWU6c2VjcmV0"),
    (f"X-API-Key: {KEY}", SECRET),
    ("http://127.0.0.1:7070/predictions?token=Xq9fTok8&x=1", "Xq9fTok8"),
    ("postgresql+psycopg://understudy:pa55-word@db.local/understudy", "pa55-word"),
    ("connection failed: password=pa55word host=db", "pa55word"),
    (PEM, "MHcCAQEEIIsecretsecret"),
    (f"BadImage({IMAGE!r})", "\\xff\\xd8"),
    (f"data:image/jpeg;base64,{base64.b64encode(IMAGE).decode()}", "BAgMEBQYHCAkK"),
]


def everywhere(text: str) -> dict[str, Any]:
    """A line with a text at each place that a line has."""
    return {
        "event": f"said {text}",
        "said": text,
        "listed": [text, {"inside": (text,)}],
        "by_name": {"a": {"b": text}},
        "error": ValueError(text),
    }


@pytest.mark.parametrize(("planted", "secret"), TEXTS)
def test_no_secret_text_comes_out_wherever_it_is(planted: str, secret: str) -> None:
    assert secret in planted
    assert secret not in str(redact(None, "info", everywhere(planted)))


@pytest.mark.parametrize("form", list(LogFormat))
@pytest.mark.parametrize(("planted", "secret"), TEXTS)
def test_nor_with_the_traceback_of_an_error(
    set_up: Callable[..., None], form: LogFormat, planted: str, secret: str
) -> None:
    output = io.StringIO()
    set_up("gateway-1", form=form, output=output)

    def fails(local: str) -> None:
        raise ValueError(f"cannot use {local}")

    try:
        fails(planted)
    except ValueError:
        structlog.get_logger().exception("internal error", planted=planted)

    assert "ValueError" in output.getvalue()
    assert secret not in output.getvalue()


@pytest.mark.parametrize(
    "field",
    ["authorization", "api_key", "X-API-Key", "token", "password", "image", "headers", "key"],
)
def test_what_is_named_like_a_secret_is_not_shown_whatever_it_reads(field: str) -> None:
    line = {"event": "x", field: "short", "inside": {field: ["a", "b"]}}
    shown = redact(None, "info", line)
    assert shown == {"event": "x", field: "[redacted]", "inside": {field: "[redacted]"}}


def test_objects_are_told_by_their_kind_alone() -> None:
    request = wire.DetectRequest(image=IMAGE, camera_id="gate-7")
    shown = redact(None, "info", {"event": "x", "request": request, "key_row": ROW, "raw": IMAGE})
    assert shown["request"] == "<DetectRequest>"
    assert shown["key_row"] == "<ApiKey>"
    assert shown["raw"] == "[516 bytes]"


def test_what_operators_need_stays_as_it_is() -> None:
    line = {
        "event": "worker_failed",
        "key_id": "0123456789ab",
        "camera": "gate-7/b's_token",
        "said": "a worker of student-1.0 failed with 503; the server's log says more",
        "url": "http://127.0.0.1:7070/predictions/student/1.0",
        "image_bytes": 70_000,
        "left_out": None,
        "up": True,
        "total_ms": 12.5,
        "gateways": [{"id": "gateway-1", "beat": 3}],
        "at": datetime(2026, 11, 22, tzinfo=UTC).isoformat(),
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    }
    assert redact(None, "info", dict(line)) == line


def test_a_terminal_is_not_given_orders() -> None:
    assert scrubbed("a\x1b[2Jb\x07\nc\td") == "a\ufffd[2Jb\ufffd\nc\td"


@given(st.text(), st.text(alphabet="abcXYZ019_-", min_size=20, max_size=60))
def test_a_key_is_found_in_any_text(around: str, secret: str) -> None:
    shown = scrubbed(f"{around} us_0123456789ab_{secret} {around}")
    assert f"us_0123456789ab_{secret}" not in shown
