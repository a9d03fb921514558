"""Secrets and images are planted everywhere in a line; none of them comes out."""

import base64
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from proto.wire.v1 import detection_pb2 as wire
from serving.access.keys import mint
from serving.logs.redaction import REDACTED, redact, scrubbed
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
    ("https://user@tenant:pa55@db/", "pa55"),
    ("authorization: Token Xq9fTok8==", "Xq9fTok8"),
    ('{"inference": {"key": "Xq9fTok8", "expiration time": "2027"}}', "Xq9fTok8"),
    ('said {\\"password\\": \\"two words\\"}', "words"),
    (f"{'x' * 300}{KEY}", SECRET),
    (f"password={'x' * 300}!Xq9fTok8", "Xq9fTok8"),
    (PEM, "MHcCAQEEIIsecretsecret"),
    (f"BadImage({IMAGE!r})", "\\xff\\xd8"),
    (f"data:image/jpeg;base64,{base64.b64encode(IMAGE).decode()}", "BAgMEBQYHCAkK"),
    (base64.urlsafe_b64encode(IMAGE).decode(), "BAgMEBQYHCAkK"),
    (base64.b64encode(b"BM" + bytes(range(100))).decode(), "KywtLi8wMT"),
    (base64.b64encode(b"II*\0" + bytes(range(100))).decode(), "KSorLC0uLz"),
    (base64.b64encode(bytes(range(256))).decode(), "AAECAwQFBg"),
    (IMAGE[:80].hex(), "e000010203"),
]


def everywhere(text: str) -> dict[str, Any]:
    """A line with a text at each place that a line has."""
    return {
        "event": f"said {text}",
        "said": text,
        "listed": [text, {"inside": (text,)}],
        "by_name": {"a": {"b": text}, text: 1},
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


PASSWORDS = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Cc", "Zs"]),
    min_size=8,
    max_size=40,
)
NAMES = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "PG", "db_", "ssl", "access-", "x-", "client.", "MY_"]),
        st.sampled_from(["password", "passwd", "secret", "token", "api_key", "api-key", "Api-Key"]),
    ),
)


@given(PASSWORDS, st.sampled_from(["understudy", "", "a.b", "user@tenant"]))
def test_a_password_is_found_in_any_address(password: str, user: str) -> None:
    address = f"postgresql+psycopg://{user}:{password}@DB/"
    shown = scrubbed(f"cannot reach {address} now")
    assert shown == f"cannot reach postgresql+psycopg://{user}:[redacted]@DB/ now"


@given(NAMES, PASSWORDS, st.sampled_from([" ", ""]))
def test_a_secret_is_found_by_any_name(name: str, password: str, blank: str) -> None:
    secret = f"{password}{blank}{password[::-1]}"
    for told in (json.dumps({name: secret}), repr({name: secret}), f"set({name}={secret!r})"):
        shown = scrubbed(told)
        assert REDACTED in shown
        assert password not in shown.replace(REDACTED, "")


@given(NAMES, st.text("abcXYZ019_-+/.=~!#$%^*|<>?", min_size=8, max_size=60))
def test_nor_need_it_stand_in_quotes(name: str, secret: str) -> None:
    assert scrubbed(f"a {name}={secret} b") == f"a {name}=[redacted] b"
    assert scrubbed(f"{name}: {secret}") == f"{name}: [redacted]"


def test_both_ends_of_a_long_text_are_shown_and_what_is_left_out_is_told() -> None:
    shown = scrubbed(f"Traceback{' a' * 100_000} the reason")
    assert shown.startswith("Traceback a")
    assert shown.endswith(" a the reason")
    assert " characters left out] " in shown
    assert 16_384 < len(shown) < 16_500
    assert KEY not in scrubbed(f"{'a ' * 4080}{KEY}{' a' * 6000}")


def test_a_text_that_is_too_long_to_read_is_cut_at_its_end() -> None:
    shown = scrubbed("a " * 500_000)
    assert len(shown) < 16_500
    assert "[737856 characters left out]" in shown


@given(st.text(), st.text(alphabet="abcXYZ019_-", min_size=20, max_size=60))
def test_a_key_is_found_in_any_text(around: str, secret: str) -> None:
    shown = scrubbed(f"{around} us_0123456789ab_{secret} {around}")
    assert f"us_0123456789ab_{secret}" not in shown
