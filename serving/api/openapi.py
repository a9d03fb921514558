"""What OpenAPI says of `POST /v1/detect`; the schemas come from the wire contract itself.

The admin API borrows its errors and keys: see `admin_openapi`.
"""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from proto.wire.v1 import detection_pb2 as wire
from serving.api.uploads import HEADERS, IMAGE_TYPES, MULTIPART
from serving.dataplane.frames import MAX_DETECTIONS, MAX_NAME_LENGTH, MIN_SCORE

Schema = dict[str, Any]

_NAME: Schema = {"type": "string", "maxLength": MAX_NAME_LENGTH, "pattern": "^[!-~]*$"}
FIELDS: dict[str, tuple[Schema, str]] = {
    "camera_id": (_NAME, "Which camera sent the frame; required where a route splits by camera"),
    "frame_id": (_NAME, "Returned untouched"),
    "capture_time": ({"type": "string", "format": "date-time"}, "When it was taken, RFC 3339"),
    "min_score": (
        {"type": "number", "minimum": MIN_SCORE, "maximum": 1},
        "Lowest score to return; absent: the model's own thresholds, class by class",
    ),
    "max_detections": (
        {"type": "integer", "minimum": 1, "maximum": MAX_DETECTIONS},
        "At most this many, best first; absent: the model's own limit",
    ),
    "route": (_NAME, 'Which route to take; absent: "default"'),
    "arm": (_NAME, "Forces an arm of the route; needs a key of scope admin"),
}
_REFUSALS = {
    "400": "A field breaks its limit, or the bytes are no readable image",
    "401": "No key, or one that is unknown, expired or revoked",
    "403": "The key's scope does not reach this far",
    "404": "No such route or arm",
    "413": "More bytes or pixels than the limit",
    "415": "The body is neither an image nor multipart",
    "429": "Every place is taken; `Retry-After` says when to try again",
    "500": "Our fault; the server's log has it under the request id",
    "502": "The worker failed",
    "503": "No route yet, or TorchServe cannot be reached",
    "504": "No answer before the deadline",
}
_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "field", "requestId"],
            "properties": {
                "code": {"type": "string", "description": "Stable, lower_snake_case"},
                "message": {"type": "string"},
                "field": {"type": "string", "description": "The field at fault, or empty"},
                "requestId": {"type": "string"},
            },
        }
    },
}


def components() -> Schema:
    """Return the components that `detect_operation` refers to."""
    return {
        "schemas": {
            "DetectResponse": message_schema(wire.DetectResponse.DESCRIPTOR),
            "Error": _ERROR,
        },
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"},
            "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        },
    }


def detect_operation(limit_bytes: int) -> Schema:
    """Return the operation: raw or multipart body, parameters, answer and every refusal."""
    answer = {"$ref": "#/components/schemas/DetectResponse"}
    return {
        "summary": "Detect what one image shows",
        "description": "Each parameter may also be sent as a header "
        f"({', '.join(HEADERS.values())}) or, in a multipart body, as a field.",
        "security": [{"bearer": []}, {"apiKey": []}],
        "parameters": [*_parameters(), *headers()],
        "requestBody": {"required": True, "content": _body(limit_bytes)},
        "responses": {
            "200": {"description": "The detections", "content": _json(answer)},
            **{status: refusal(text) for status, text in _REFUSALS.items()},
        },
    }


def refusal(text: str) -> Schema:
    """Return the response in which every error is told.

    Args:
        text: When it comes.
    """
    return {"description": text, "content": _json({"$ref": "#/components/schemas/Error"})}


def message_schema(message: Any) -> Schema:
    """Return the JSON schema of a message's proto3 JSON."""
    fields = {field.json_name: _field_schema(field) for field in message.fields}
    return {"type": "object", "properties": fields}


def _field_schema(field: FieldDescriptor) -> Schema:
    schema = _value_schema(field)
    return {"type": "array", "items": schema} if field.is_repeated else schema


def _value_schema(field: FieldDescriptor) -> Schema:
    if field.message_type is not None:
        return message_schema(field.message_type)
    kinds = {
        FieldDescriptor.CPPTYPE_FLOAT: "number",
        FieldDescriptor.CPPTYPE_UINT32: "integer",
        FieldDescriptor.CPPTYPE_STRING: "string",
        FieldDescriptor.CPPTYPE_BOOL: "boolean",
    }
    return {"type": kinds[field.cpp_type]}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _parameters() -> list[Schema]:
    return [
        {"name": name, "in": "query", "required": False, "schema": schema, "description": text}
        for name, (schema, text) in FIELDS.items()
    ]


def headers() -> list[Schema]:
    """Return the headers that every request for an answer may carry."""
    timeout = {"type": "number", "minimum": 1, "maximum": 120_000}
    return [
        {
            "name": "X-Timeout-Ms",
            "in": "header",
            "schema": timeout,
            "description": "How long you will wait; absent: the route's own timeout",
        },
        {
            "name": "X-Request-Id",
            "in": "header",
            "schema": {"type": "string"},
            "description": "Returned in the answer and written to the log: 1 to 64 letters, "
            "digits, `.`, `_` and `-`; anything else, or none: one is made here",
        },
    ]


def _body(limit_bytes: int) -> Schema:
    image = {"type": "string", "format": "binary", "maxLength": limit_bytes}
    fields = {name: {**schema, "description": text} for name, (schema, text) in FIELDS.items()}
    form = {"type": "object", "required": ["image"], "properties": {"image": image, **fields}}
    return {kind: {"schema": image} for kind in IMAGE_TYPES} | {MULTIPART: {"schema": form}}
