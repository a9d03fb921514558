"""What OpenAPI says of the Open Inference Protocol's routes, which FastAPI does not know."""

from serving.api import openapi
from serving.api.v2_json import HEADER_LENGTH
from serving.api.v2_models import NOTES
from serving.api.v2_schemas import EXAMPLE, TEXT, Schema, flag, named, object_of, schemas
from serving.dataplane.frames import MAX_NAME_LENGTH

_JSON, _BYTES = "application/json", "application/octet-stream"
_KEYED: Schema = {"security": [{"bearer": []}, {"apiKey": []}]}
_OPEN: Schema = {"security": []}
_REFUSALS = {
    "400": "A part of the request breaks its limit, or the bytes are no readable image",
    "401": "No key, or one that is unknown, expired or revoked",
    "500": "Our fault; the server's log has it under the request id",
}
_OF_MODELS = {"404": "No such route, or no arm of it names this release", "503": "No route yet"}
_OF_INFER = _OF_MODELS | {
    "403": "The key's scope does not reach this far",
    "413": "The images are larger than the limit of one image",
    "429": "Every place is taken; `Retry-After` says when to try again",
    "502": "The worker failed",
    "503": "No route yet, it has just changed, or TorchServe cannot be reached",
    "504": "No answer before the deadline",
}


def with_v2(document: Schema) -> Schema:
    """Return an OpenAPI document with the protocol's routes and schemas added.

    Args:
        document: Of the cameras' API; it is left as it is.
    """
    components = document["components"]
    known = components["schemas"] | schemas()
    return document | {
        "paths": document["paths"] | _paths(),
        "components": components | {"schemas": known},
    }


def _paths() -> Schema:
    paths = {
        "/v2": {"get": _operation("Who this is", "V2Server", _KEYED)},
        "/v2/health/live": {"get": _health("The process runs", "live")},
        "/v2/health/ready": {"get": _ready("Frames can be answered", {"ready": flag()})},
        "/v2/repository/index": {"post": _index()},
    }
    for what in ("load", "unload"):
        paths[f"/v2/repository/models/{{name}}/{what}"] = {"post": _not_offered()}
    one, versioned = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
    for path, names in ((one, ("name",)), (versioned, ("name", "version"))):
        paths[path] = {"get": _of_model(_operation("A route", "V2Model", _KEYED), names)}
        said = {"name": TEXT, "ready": flag()}
        paths[f"{path}/ready"] = {"get": _of_model(_ready("A route can answer", said), names)}
        paths[f"{path}/infer"] = {"post": _of_model(_infer(), names)}
    return paths


def _operation(
    summary: str, schema: str, access: Schema, refusals: dict[str, str] | None = None
) -> Schema:
    answer = {"description": summary, "content": {_JSON: {"schema": named(schema)}}}
    told = _REFUSALS | (refusals or {})
    return {
        "summary": summary,
        "tags": ["Open Inference Protocol"],
        **access,
        "responses": {"200": answer, **{status: _refusal(text) for status, text in told.items()}},
    }


def _health(summary: str, name: str) -> Schema:
    answer = {"description": summary, "content": {_JSON: {"schema": object_of({name: flag()})}}}
    return {
        "summary": summary,
        "tags": ["Open Inference Protocol"],
        **_OPEN,
        "responses": {"200": answer},
    }


def _ready(summary: str, said: Schema) -> Schema:
    content = {_JSON: {"schema": object_of(said)}}
    return _health(summary, "ready") | {
        "responses": {
            "200": {"description": f"{summary}: yes", "content": content},
            "400": {"description": f"{summary}: no", "content": content},
        }
    }


def _index() -> Schema:
    asked: Schema = {"type": "object", "properties": {"ready": flag()}}
    operation = _operation("Every release of every route", "V2Index", _KEYED, {"413": "Too long"})
    return operation | {"requestBody": {"required": False, "content": {_JSON: {"schema": asked}}}}


def _not_offered() -> Schema:
    operation = _operation("Refused: operators do it with `understudy deploy`", "V2Error", _KEYED)
    operation["responses"].pop("200")
    return _of_model(operation, ("name",), {})


def _infer() -> Schema:
    operation = _operation("Detect what images show", "V2InferResponse", _KEYED)
    binary = {"schema": {"type": "string", "format": "binary"}}
    operation["responses"]["200"]["content"][_BYTES] = binary
    asked = {"schema": named("V2InferRequest"), "example": EXAMPLE}
    length: Schema = {
        "name": HEADER_LENGTH,
        "in": "header",
        "schema": {"type": "string", "pattern": "^[0-9]{1,12}$"},
        "description": "Bytes of JSON, where binary data follows them; absent: all",
    }
    for status, text in _OF_INFER.items():
        operation["responses"][status] = _refusal(text)
    return operation | {
        "description": f"{NOTES['image']}. {NOTES['counts']}. With `{HEADER_LENGTH}` the body is "
        "JSON and the input's bytes behind it, as the extension for binary tensor data says.",
        "parameters": [*openapi.headers(), length],
        "requestBody": {"required": True, "content": {_JSON: asked, _BYTES: binary}},
    }


def _of_model(
    operation: Schema, names: tuple[str, ...], refusals: dict[str, str] | None = None
) -> Schema:
    """Add what a path's names bring: parameters, and refusals where the operation asks a key."""
    texts = {"name": "A route", "version": "A release that an arm of it names"}
    path = [
        {
            "name": one,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH},
            "description": texts[one],
            "example": {"name": "default", "version": "student-1.0"}[one],
        }
        for one in names
    ]
    told = (_OF_MODELS if operation["security"] else {}) if refusals is None else refusals
    responses = {status: _refusal(text) for status, text in told.items()} | operation["responses"]
    return operation | {
        "parameters": [*path, *operation.get("parameters", [])],
        "responses": responses,
    }


def _refusal(text: str) -> Schema:
    return {"description": text, "content": {_JSON: {"schema": named("V2Error")}}}
