import pytest

from serving.client.http_calls import error_of, response_of
from serving.errors import Overloaded, UpstreamError


def test_fields_that_a_newer_server_added_are_passed_over() -> None:
    response = response_of("http://gateway", b'{"frameId": "7", "newField": {"x": 1}}')

    assert response.frame_id == "7"


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"detections": 3}', b"\xff"])
def test_what_is_no_answer_is_one_of_our_errors(body: bytes) -> None:
    with pytest.raises(UpstreamError, match="no answer of a gateway's"):
        response_of("http://gateway", body)


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [("3", 3.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0)]
)
def test_a_retry_after_may_be_a_date(retry_after: str, seconds: float) -> None:
    body = b'{"error": {"code": "overloaded", "message": "full", "field": ""}}'

    error = error_of("http://gateway", 429, {"Retry-After": retry_after}, body)

    assert isinstance(error, Overloaded)
    assert error.retry_after_s == seconds
