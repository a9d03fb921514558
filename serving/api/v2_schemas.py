"""What the Open Inference Protocol's requests and answers hold, as OpenAPI says it."""

from typing import Any

from serving.api import openapi
from serving.api.timeouts import LONGEST_TIMEOUT_S
from serving.api.v2_json import BINARY, BINARY_SIZE
from serving.api.v2_models import EXTENSIONS, PLATFORM, SERVER
from serving.api.v2_options import BINARY_DATA_OUTPUT
from serving.api.v2_tensors import IMAGE, MOST_IMAGES, OUTPUTS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
# A PNG of eight times eight pixels.
_BLACK = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAG0lEQVQIHS3BMQEAAABAMPqX"
    "9thkMplMJpPJAgGMAAkZsGX1AAAAAElFTkSuQmCC"
)
EXAMPLE: Schema = {
    "inputs": [{"name": IMAGE, "datatype": "BYTES", "shape": [1], "data": [_BLACK]}],
    "parameters": {"camera_id": "gate-7"},
}


def schemas() -> Schema:
    """Return the components that `v2_openapi` refers to, by their names."""
    return {
        "V2Error": object_of({"error": TEXT}),
        "V2Server": object_of(
            {
                "name": {"const": SERVER},
                "version": TEXT,
                "extensions": list_of({"enum": list(EXTENSIONS)}),
            }
        ),
        "V2Tensor": object_of({"name": TEXT, "datatype": TEXT, "shape": list_of(_whole())}),
        "V2Model": object_of(
            {
                "name": TEXT,
                "versions": list_of(TEXT),
                "platform": {"const": PLATFORM},
                "inputs": list_of(named("V2Tensor")),
                "outputs": list_of(named("V2Tensor")),
                "parameters": {"type": "object", "additionalProperties": TEXT},
            }
        ),
        "V2Index": list_of(
            object_of(
                {
                    "name": TEXT,
                    "version": TEXT,
                    "state": {"enum": ["READY", "UNAVAILABLE"]},
                    "reason": TEXT,
                }
            )
        ),
        "V2InferRequest": _request(),
        "V2InferResponse": _response(),
    }


def _request() -> Schema:
    element: Schema = {"type": "string", "contentEncoding": "base64"}
    image = object_of(
        {
            "name": {"const": IMAGE},
            "datatype": {"const": "BYTES"},
            "shape": {
                **list_of(_whole(1, MOST_IMAGES)),
                "description": "[n] or [n, 1]",
                "minItems": 1,
                "maxItems": 2,
            },
            "data": {
                **list_of({"anyOf": [element, list_of(element)]}),
                "minItems": 1,
                "maxItems": MOST_IMAGES,
            },
            "parameters": _only({BINARY_SIZE: _whole(0)}),
        },
        optional=("data", "parameters"),
    )
    output = object_of(
        {"name": {"enum": list(OUTPUTS)}, "parameters": _only({BINARY: flag()})},
        optional=("parameters",),
    )
    return object_of(
        {
            "id": TEXT,
            "inputs": {**list_of(image), "minItems": 1, "maxItems": 1},
            "outputs": {**list_of(output), "description": "Absent: all"},
            "parameters": _only(_parameters()),
        },
        optional=("id", "outputs", "parameters"),
    )


def _parameters() -> Schema:
    names = ("camera_id", "frame_id", "arm", "min_score", "max_detections")
    fields = {
        name: {**schema, "description": text}
        for name, (schema, text) in openapi.FIELDS.items()
        if name in names
    }
    timeout = {
        **_whole(0, round(LONGEST_TIMEOUT_S * 1_000_000)),
        "description": "Microseconds; 0: the route's own",
    }
    return fields | {"timeout": timeout, BINARY_DATA_OUTPUT: flag()}


def _response() -> Schema:
    output = object_of(
        {
            "name": {"enum": list(OUTPUTS)},
            "datatype": {"enum": sorted({datatype for datatype, _ in OUTPUTS.values()})},
            "shape": list_of(_whole(0)),
            "data": list_of({"type": ["number", "string"]}),
            "parameters": object_of({BINARY_SIZE: _whole(0)}),
        },
        optional=("data", "parameters"),
    )
    return object_of(
        {
            "model_name": TEXT,
            "model_version": {**TEXT, "description": "Which release answered"},
            "id": TEXT,
            "parameters": {
                "type": "object",
                "additionalProperties": TEXT,
                "description": "Who answered: arm, model, version, variant, backend",
            },
            "outputs": list_of(output),
        },
        optional=("id",),
    )


def named(schema: str) -> Schema:
    """Return a reference to a component."""
    return {"$ref": f"#/components/schemas/{schema}"}


def object_of(properties: Schema, optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object that may hold more than these.

    Args:
        properties: Schemas by name.
        optional: Names that may be missing.
    """
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def list_of(items: Schema) -> Schema:
    """Return the schema of an array of these."""
    return {"type": "array", "items": items}


def flag() -> Schema:
    """Return the schema of true and false."""
    return {"type": "boolean"}


def _only(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _whole(least: int | None = None, most: int | None = None) -> Schema:
    limits = {"minimum": least, "maximum": most}
    return {"type": "integer", **{name: one for name, one in limits.items() if one is not None}}
