"""V2 requests and answers as REST carries them: JSON, and binary tensors behind it."""

import binascii
from dataclasses import dataclass

import orjson

from serving.api.json_answers import shortest
from serving.api.v2_infer import InferAnswer, InferRequest
from serving.api.v2_options import BINARY_DATA_OUTPUT, read_options, read_outputs
from serving.api.v2_tensors import IMAGE, Tensor, check_count, image_count, read_raw
from serving.errors import InvalidField

HEADER_LENGTH = "Inference-Header-Content-Length"
BINARY_SIZE, BINARY = "binary_data_size", "binary_data"


@dataclass(frozen=True)
class JsonRequest:
    """A request, and which of its outputs are to be written as binary data."""

    request: InferRequest
    binary: frozenset[str]


def read_json(body: bytes, header_length: str | None, model: str, version: str) -> JsonRequest:
    """Read the body of an inference request.

    Args:
        body: JSON, and binary data behind it where `header_length` says so.
        header_length: Bytes of JSON, as the header has it; None: all of them.
        model: Of the path.
        version: Of the path, or "".

    Raises:
        InvalidField: It is not one; the message names the part.
    """
    said, binary = _split(body, header_length)
    parameters = _object(said, "parameters")
    images = _images(_only_input(said), binary)
    outputs = _list_of_objects(said, "outputs")
    names = read_outputs([_string(one, "name", "outputs") for one in outputs])
    everything = _flag(parameters, BINARY_DATA_OUTPUT, default=False)
    asked = {one["name"]: _wants_binary(one, everything) for one in outputs}
    return JsonRequest(
        InferRequest(
            model=model,
            version=version,
            id=_string(said, "id", "", default=""),
            images=images,
            options=read_options(parameters),
            outputs=names,
        ),
        frozenset(name for name in names if asked.get(name, everything)),
    )


def write_json(answer: InferAnswer, binary: frozenset[str]) -> tuple[bytes, int | None]:
    """Return the body of an answer, and the bytes of its JSON where binary data follows.

    Args:
        answer: To write.
        binary: Names of the outputs to write as binary data.
    """
    raw = {one.name: one.raw() for one in answer.outputs if one.name in binary}
    said: dict[str, object] = {
        "model_name": answer.model,
        "model_version": answer.version,
        "parameters": answer.parameters,
        "outputs": [_output(one, raw.get(one.name)) for one in answer.outputs],
    }
    if answer.id:
        said["id"] = answer.id
    header = orjson.dumps(said)
    return b"".join([header, *raw.values()]), len(header) if binary else None


def read_object(body: bytes) -> dict[str, object]:
    """Read a body that is a JSON object; an empty one is an empty object.

    Raises:
        InvalidField: It is something else.
    """
    try:
        said = orjson.loads(body) if body else {}
    except ValueError as error:
        raise InvalidField("body", f"body: not readable as JSON: {error}") from error
    if not isinstance(said, dict):
        raise InvalidField("body", "body: not a JSON object")
    return said


def _split(body: bytes, header_length: str | None) -> tuple[dict[str, object], bytes]:
    if header_length is None:
        return read_object(body), b""
    plain = header_length.isascii() and header_length.isdigit() and len(header_length) <= 12
    if not plain or int(header_length) > len(body):
        raise InvalidField(
            HEADER_LENGTH,
            f"{HEADER_LENGTH}: {header_length[:32]!r} is not a number of bytes within the body's "
            f"{len(body)}",
        )
    length = int(header_length)
    return read_object(body[:length]), body[length:]


def _only_input(said: dict[str, object]) -> dict[str, object]:
    inputs = _list_of_objects(said, "inputs")
    if len(inputs) != 1:
        raise InvalidField("inputs", f"inputs: {len(inputs)} of them; send one, named {IMAGE!r}")
    return inputs[0]


def _images(tensor: dict[str, object], binary: bytes) -> list[bytes]:
    shape = tensor.get("shape")
    count = image_count(
        _string(tensor, "name", "inputs"),
        _string(tensor, "datatype", IMAGE),
        shape if isinstance(shape, list) else [],
    )
    parameters = _object(tensor, "parameters", IMAGE)
    for name in parameters:
        if name != BINARY_SIZE:
            raise InvalidField(
                IMAGE, f"{IMAGE}.parameters: {name[:64]!r} is not taken, only {BINARY_SIZE}"
            )
    if BINARY_SIZE not in parameters:
        if binary:
            raise _not_all(0, binary)
        return _decoded(tensor.get("data"), count)
    size = parameters[BINARY_SIZE]
    if size is True or size != len(binary):
        raise _not_all(size, binary)
    if "data" in tensor:
        raise InvalidField(IMAGE, f"{IMAGE}: both `data` and {BINARY_SIZE}; send one of them")
    return read_raw(binary, count)


def _not_all(size: object, binary: bytes) -> InvalidField:
    told = size if isinstance(size, int) else "what it says"
    return InvalidField(
        IMAGE,
        f"{IMAGE}.parameters.{BINARY_SIZE}: {told} is not the {len(binary)} bytes behind the JSON",
    )


def _decoded(data: object, count: int) -> list[bytes]:
    if not isinstance(data, list):
        raise InvalidField(
            IMAGE, f"{IMAGE}.data: not a list; send base64 strings, or binary data behind the JSON"
        )
    flat = [text for row in data for text in (row if isinstance(row, list) else [row])]
    check_count(len(flat), count)
    return [_base64(text, place) for place, text in enumerate(flat)]


def _base64(text: object, place: int) -> bytes:
    try:
        if isinstance(text, str):
            return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except ValueError:
        pass
    raise InvalidField(
        IMAGE,
        f"{IMAGE}.data: element {place} is not base64; JSON cannot hold an image's bytes as they "
        "are: encode them, or send them as binary data behind the JSON",
    )


def _wants_binary(output: dict[str, object], everything: bool) -> bool:
    parameters = _object(output, "parameters", "outputs")
    for name in parameters:
        if name != BINARY:
            raise InvalidField(
                "outputs", f"outputs.parameters: {name[:64]!r} is not taken, only {BINARY}"
            )
    return _flag(parameters, BINARY, default=everything)


def _output(tensor: Tensor, raw: bytes | None) -> dict[str, object]:
    written: dict[str, object] = {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": tensor.shape,
    }
    if raw is not None:
        return written | {"parameters": {BINARY_SIZE: len(raw)}}
    return written | {"data": [_element(one) for one in tensor.elements]}


def _element(one: float | bytes) -> float | str:
    if isinstance(one, bytes):
        return one.decode()
    return shortest(one) if isinstance(one, float) else one


def _object(said: dict[str, object], name: str, within: str = "") -> dict[str, object]:
    value = said.get(name, {})
    if not isinstance(value, dict):
        raise _wrong(name, within, "an object")
    return value


def _list_of_objects(said: dict[str, object], name: str) -> list[dict[str, object]]:
    value = said.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise _wrong(name, "", "a list of objects")
    return value


def _string(said: dict[str, object], name: str, within: str, *, default: str | None = None) -> str:
    value = said.get(name, default)
    if not isinstance(value, str):
        raise _wrong(name, within, "a string")
    return value


def _flag(said: dict[str, object], name: str, *, default: bool) -> bool:
    value = said.get(name, default)
    if not isinstance(value, bool):
        raise _wrong(name, "parameters", "true or false")
    return value


def _wrong(name: str, within: str, wanted: str) -> InvalidField:
    field = f"{within}.{name}" if within else name
    return InvalidField(field, f"{field}: must be {wanted}")
