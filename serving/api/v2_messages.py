"""V2 requests and answers as gRPC carries them."""

from collections.abc import Mapping, Sequence

from proto.open_inference.v2 import inference_pb2 as oip
from serving.api.v2_infer import InferAnswer, InferRequest
from serving.api.v2_models import (
    INPUT_INFOS,
    OUTPUT_INFOS,
    PLATFORM,
    IndexEntry,
    Model,
    TensorInfo,
)
from serving.api.v2_options import read_options, read_outputs
from serving.api.v2_tensors import IMAGE, Tensor, check_count, image_count, read_raw
from serving.errors import InvalidField

# The field of InferTensorContents that holds a data type's elements.
_CONTENTS = {"FP32": "fp32_contents", "INT32": "int_contents", "BYTES": "bytes_contents"}


def read_message(message: oip.ModelInferRequest) -> InferRequest:
    """Read an inference request.

    Raises:
        InvalidField: It is not one that is taken; the message names the part.
    """
    images = _images(message)
    for output in message.outputs:
        for name in output.parameters:
            raise InvalidField("outputs", f"outputs.parameters: {name[:64]!r} is not taken")
    return InferRequest(
        model=message.model_name,
        version=message.model_version,
        id=message.id,
        images=images,
        options=read_options(_parameters(message.parameters)),
        outputs=read_outputs([output.name for output in message.outputs]),
    )


def write_message(answer: InferAnswer, *, raw: bool) -> oip.ModelInferResponse:
    """Return an answer as a message.

    Args:
        answer: To write.
        raw: Whether its tensors go as raw bytes.
    """
    outputs = [
        oip.ModelInferResponse.InferOutputTensor(
            name=one.name,
            datatype=one.datatype,
            shape=one.shape,
            contents=None if raw else _contents(one),
        )
        for one in answer.outputs
    ]
    return oip.ModelInferResponse(
        model_name=answer.model,
        model_version=answer.version,
        id=answer.id,
        parameters={
            name: oip.InferParameter(string_param=value)
            for name, value in answer.parameters.items()
        },
        outputs=outputs,
        raw_output_contents=[one.raw() for one in answer.outputs] if raw else [],
    )


def write_model(model: Model) -> oip.ModelMetadataResponse:
    """Return a route's metadata as a message."""
    return oip.ModelMetadataResponse(
        name=model.name,
        versions=model.versions,
        platform=PLATFORM,
        inputs=_infos(INPUT_INFOS),
        outputs=_infos(OUTPUT_INFOS),
    )


def write_index(entries: Sequence[IndexEntry]) -> oip.RepositoryIndexResponse:
    """Return the repository's index as a message."""
    return oip.RepositoryIndexResponse(
        models=[
            oip.RepositoryIndexResponse.ModelIndex(
                name=one.name, version=one.version, state=one.state, reason=one.reason
            )
            for one in entries
        ]
    )


def _images(message: oip.ModelInferRequest) -> list[bytes]:
    if len(message.inputs) != 1:
        raise InvalidField(
            "inputs", f"inputs: {len(message.inputs)} of them; send one, named {IMAGE!r}"
        )
    (tensor,) = message.inputs
    count = image_count(tensor.name, tensor.datatype, list(tensor.shape))
    for name in tensor.parameters:
        raise InvalidField(IMAGE, f"{IMAGE}.parameters: {name[:64]!r} is not taken")
    if not message.raw_input_contents:
        elements = list(tensor.contents.bytes_contents)
        check_count(len(elements), count)
        return elements
    if len(message.raw_input_contents) != 1 or tensor.HasField("contents"):
        raise InvalidField(
            "raw_input_contents",
            f"raw_input_contents: {len(message.raw_input_contents)} of them; send one for the one "
            "input, and leave its `contents` out",
        )
    return read_raw(message.raw_input_contents[0], count)


def _parameters(given: Mapping[str, oip.InferParameter]) -> dict[str, object]:
    parameters: dict[str, object] = {}
    for name, parameter in given.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is None:
            raise InvalidField(name[:64], f"parameters: {name[:64]!r} has no value")
        parameters[name] = getattr(parameter, kind)
    return parameters


def _contents(tensor: Tensor) -> oip.InferTensorContents:
    contents = oip.InferTensorContents()
    getattr(contents, _CONTENTS[tensor.datatype]).extend(tensor.elements)
    return contents


def _infos(infos: Sequence[TensorInfo]) -> list[oip.ModelMetadataResponse.TensorMetadata]:
    return [
        oip.ModelMetadataResponse.TensorMetadata(
            name=one.name, datatype=one.datatype, shape=one.shape
        )
        for one in infos
    ]
