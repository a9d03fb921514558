import inspect

import grpc
import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from serving import errors
from serving.api import grpc_errors, http_errors

EVERY_ERROR = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.UnderstudyError)
]


def test_the_walk_found_the_tree() -> None:
    assert {errors.UnderstudyError, errors.Overloaded, errors.RouteConflict} <= set(EVERY_ERROR)


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_each_error_stands_in_both_tables(kind: type[errors.UnderstudyError]) -> None:
    assert kind in http_errors.STATUS
    assert kind in grpc_errors.STATUS


@pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
def test_both_tables_agree_on_whose_fault_it_is(kind: type[errors.UnderstudyError]) -> None:
    code = grpc.StatusCode
    ours = {code.INTERNAL, code.UNAVAILABLE, code.DEADLINE_EXCEEDED}

    assert (http_errors.STATUS[kind] >= 500) == (grpc_errors.STATUS[kind] in ours)


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in EVERY_ERROR]

    assert len(set(codes)) == len(codes)


def test_an_error_that_is_not_ours_tells_nothing() -> None:
    secret = ValueError("password=hunter2")

    told = grpc_errors.wire_error(secret, "r1")

    assert told.code == "internal"
    assert "hunter2" not in told.message
    assert http_errors.status_of(secret) == 500
    assert grpc_errors.status_of(secret) is grpc.StatusCode.INTERNAL


async def test_an_unknown_failure_is_logged_under_the_request_id_that_the_caller_is_told() -> None:
    app = FastAPI()
    http_errors.answer_errors(app)

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError("password=hunter2")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    with capture_logs() as logs:
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            reply = await client.get("/broken", headers={"X-Request-Id": "job-17"})

    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["requestId"]) == (500, "internal", "job-17")
    assert "hunter2" not in reply.text
    assert [(entry["request_id"], str(entry["exc_info"])) for entry in logs] == [
        ("job-17", "password=hunter2")
    ]
