"""Every route of the Open Inference Protocol is in the OpenAPI document, and nothing else is."""

import json
import re
from typing import Any

from fastapi import FastAPI
from starlette.routing import Mount, Route
from v2_server import Answering, Keys, models

from serving.access.authenticator import Authenticator
from serving.api.image_budget import ImageBudget
from serving.api.openapi import components
from serving.api.v2 import V2
from serving.api.v2_http import add_v2_http
from serving.metrics.gateway.metrics import Metrics


def described() -> FastAPI:
    app = FastAPI()
    app.openapi_schema = {"paths": {}, "components": components()}
    v2 = V2(Answering(), models(), Authenticator(Keys()), Metrics(), ImageBudget(1 << 20))
    add_v2_http(app, v2)
    return app


def document() -> dict[str, Any]:
    told = described().openapi_schema
    assert told is not None
    return told


def test_each_route_is_described_and_no_other() -> None:
    (mount,) = [one for one in described().routes if isinstance(one, Mount)]
    inner = [one for one in mount.routes or [] if isinstance(one, Route)]

    served = {
        (f"{mount.path}{one.path}".rstrip("/"), method.lower())
        for one in inner
        for method in (one.methods or set()) - {"HEAD"}
    }

    told = {(path, method) for path, ways in document()["paths"].items() for method in ways}
    assert told == served


def test_each_schema_that_is_referred_to_is_there() -> None:
    told = document()

    referred = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(told)))

    assert referred <= set(told["components"]["schemas"])
    assert "V2InferRequest" in referred


def test_who_asks_for_a_key_says_so() -> None:
    paths = document()["paths"]

    open_to_all = {
        path for path, ways in paths.items() for way in ways.values() if not way["security"]
    }

    ready = {path for path in paths if path.endswith("/ready")}
    assert open_to_all == ready | {"/v2/health/live"}
