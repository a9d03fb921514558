"""What OpenAPI says of the admin API: FastAPI's own description, and every refusal."""

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving.api import openapi

Schema = dict[str, Any]

_CHANGES = frozenset({"post", "put", "delete"})
_ALWAYS = {
    "500": "Our fault; the server's log has it under the request id",
    "503": "Another controller leads, or the store or a backend cannot be reached",
}
_OF_KEYS = {
    "401": "No key, or one that is unknown, expired or revoked",
    "403": "The key's scope does not reach this far",
}
_OF_FIELDS = {"400": "A field breaks its limit, is unknown or missing"}
_OF_BODIES = {"413": "The body is larger than the limit"}
_OF_PATHS = {"404": "No such thing of this name"}
_OF_CHANGES = {
    "404": "Something that the request names is not there",
    "409": "As things stand this cannot be done; the message says why",
}
_OF_DEPLOYS = {
    "422": "The archive is refused: unsigned, altered, or not one of ours",
    "502": "The release did not come up; the message says what its workers said",
    "504": "It did not come up in time",
}
_DEPLOY = ("/admin/v1/releases", "post")


def add_description(app: FastAPI) -> None:
    """Serve the OpenAPI document of an admin API at /openapi.json; asks for no key.

    Args:
        app: With all its routes.
    """
    document = _described(app)

    @app.get("/openapi.json", include_in_schema=False)
    async def describe() -> Schema:
        return document


def _described(app: FastAPI) -> Schema:
    described = get_openapi(
        title=app.title,
        version=version("understudy"),
        routes=app.routes,
        license_info={"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
    )
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            _add_refusals(path, method, operation)
    own = openapi.components()
    components = described["components"]
    components["securitySchemes"] = own["securitySchemes"]
    components["schemas"] |= {"Error": own["schemas"]["Error"]}
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    return described


def _add_refusals(path: str, method: str, operation: Schema) -> None:
    responses = operation["responses"]
    # FastAPI's word for a broken field; ours is 400.
    responses.pop("422", None)
    refusals = dict(_ALWAYS)
    if "parameters" in operation or "requestBody" in operation:
        refusals |= _OF_FIELDS
    if "requestBody" in operation:
        refusals |= _OF_BODIES
    if "{" in path:
        refusals |= _OF_PATHS
    if method in _CHANGES:
        refusals |= _OF_CHANGES
    if (path, method) == _DEPLOY:
        refusals |= _OF_DEPLOYS
    if path.startswith("/admin/"):
        refusals |= _OF_KEYS
        operation["security"] = [{"bearer": []}, {"apiKey": []}]
    for status, text in sorted(refusals.items()):
        responses[status] = openapi.refusal(text)
