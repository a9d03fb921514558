"""Writing the student card."""

import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from itertools import chain
from pathlib import Path

from google.protobuf import json_format

from distill_jobs.environment import PROJECT_ROOT
from distill_jobs.fitting import LETTERBOX_PAD, LETTERBOX_SCALE_UP, SCALE
from distill_jobs.release.assess import Findings
from distill_jobs.release.card_findings import write_findings
from distill_jobs.release.evaluate import Quality
from distill_jobs.release.export import INPUT_NAME, OPSET, OUTPUT_NAME
from distill_jobs.release.golden import Golden
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.requirements import requirements
from distill_jobs.release.result import VariantResult
from distill_jobs.release.suppression import MAX_CANDIDATES, MAX_DETECTIONS, NMS_IOU
from distill_jobs.release.thresholds import ClassThreshold
from handlers.card import Card
from proto.wire.v1 import card_pb2

SCHEMA_VERSION = 1
_FILES = {
    "onnxruntime-fp32": "{role}.onnx",
    "onnxruntime-fp16": "{role}-fp16.onnx",
    "onnxruntime-int8": "{role}-int8.onnx",
    "onnxruntime-int8dynamic": "{role}-int8dynamic.onnx",
    "openvino-fp32": "{role}.onnx",
    "openvino-bf16": "{role}.onnx",
    "openvino-int8": "{role}-openvino-int8.onnx",
    "openvino-int8bf16": "{role}-openvino-int8.onnx",
    "torchscript-fp32": "{role}.torchscript",
}
_WORKER_PACKAGES = ("numpy", "opencv-python", "simplejpeg", "torch", "torchserve")
_ENGINES = {"onnxruntime": ("onnxruntime-gpu", "onnxruntime"), "openvino": ("openvino",)}
_LIBRARIES = ("torch", "ultralytics", "onnx", *_ENGINES["onnxruntime"], "openvino", "numpy")


@dataclass(frozen=True)
class Measured:
    """What is known of the model.

    Attributes:
        quality: Of the default variant; None: unmeasured.
        parameters: Of the checkpoint.
        checkpoint_sha256: Of its file.
        findings: What the gate judged by.
    """

    quality: Quality | None
    parameters: int
    checkpoint_sha256: str
    findings: Findings


def draft(request: ReleaseRequest, class_names: Sequence[str], *, stride: int = 0) -> card_pb2.Card:
    """Return a card of what is known before anything is measured.

    It lists every variant that was asked for, so that the handlers can already run by it.

    Args:
        request: What was asked for.
        class_names: Index = class id.
        stride: Of the model, for rectangles of it; 0: frames go into the square whatever was asked
            for.
    """
    runtime_of = [name.split("-") for name in request.exports]
    return card_pb2.Card(
        schema_version=SCHEMA_VERSION,
        name=request.name,
        version=request.version,
        role=_role(request),
        task=card_pb2.TASK_DETECTION,
        class_names=class_names,
        input=card_pb2.Input(
            width=request.image_size,
            height=request.image_size,
            letterbox_pad=LETTERBOX_PAD,
            letterbox_scale_up=LETTERBOX_SCALE_UP,
            colour="RGB",
            scale=SCALE,
            tensor_name=INPUT_NAME,
            output_name=OUTPUT_NAME,
            opset=OPSET,
            stride=stride if request.rectangular else 0,
        ),
        head=card_pb2.Head(kind=card_pb2.HEAD_KIND_DENSE),
        post_processing=card_pb2.PostProcessing(
            operating_thresholds=[request.thresholds.default] * len(class_names),
            iou_threshold=NMS_IOU,
            max_detections=MAX_DETECTIONS,
            max_candidates=MAX_CANDIDATES,
        ),
        variants=[
            card_pb2.Variant(
                name="-".join(parts),
                runtime=parts[0],
                precision=parts[1],
                file=file,
                requires=requirements("-".join(parts)),
            )
            for parts, file in zip(runtime_of, files_of(request).values(), strict=True)
        ],
    )


def with_thresholds(drafted: card_pb2.Card, thresholds: Sequence[ClassThreshold]) -> card_pb2.Card:
    """Return a draft with the operating thresholds that were chosen, one a class."""
    card = card_pb2.Card()
    card.CopyFrom(drafted)
    card.post_processing.operating_thresholds[:] = [one.threshold for one in thresholds]
    return card


def files_of(request: ReleaseRequest) -> dict[str, str]:
    """Return the weight file of each variant that was asked for, by its path in the archive."""
    return {name: _FILES[name].format(role=request.role) for name in request.exports}


def complete(
    drafted: card_pb2.Card,
    request: ReleaseRequest,
    *,
    measured: Measured,
    variants: Sequence[VariantResult],
    tolerances: Mapping[str, card_pb2.Tolerance],
    golden: Sequence[Golden],
    digests: Mapping[str, str],
) -> card_pb2.Card:
    """Return the card as it goes into the archive.

    Args:
        drafted: What `draft` returned.
        request: What was asked for.
        measured: Of the model.
        variants: Those that passed, fastest first.
        tolerances: By variant name.
        golden: The golden frames.
        digests: SHA-256 of the archive's other files.
    """
    card = card_pb2.Card()
    card.CopyFrom(drafted)
    del card.variants[:]
    card.variants.extend(_variant(one, tolerances[one.name]) for one in variants)
    card.quality.CopyFrom(_quality(request, measured))
    write_findings(card, measured.findings)
    card.lineage.CopyFrom(_lineage(request, measured))
    licences = request.licences
    card.licences.CopyFrom(
        card_pb2.Licences(code=licences.code, weights=licences.weights, data=licences.data)
    )
    card.worker_requirements.CopyFrom(_requirements(variants))
    card.digests.update(digests)
    card.golden_frames.extend(_golden_frame(frame) for frame in golden)
    return card


def as_json(card: card_pb2.Card) -> str:
    """Return a card as `card.json` holds it; the same card gives the same text."""
    text: str = json_format.MessageToJson(
        card,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        sort_keys=True,
        ensure_ascii=False,
    )
    return text + "\n"


def as_handlers_read(card: card_pb2.Card) -> Card:
    """Return a card as the workers see it."""
    return Card.parse(as_json(card))


def _role(request: ReleaseRequest) -> card_pb2.Role:
    return card_pb2.ROLE_TEACHER if request.role == "teacher" else card_pb2.ROLE_STUDENT


def _variant(variant: VariantResult, tolerance: card_pb2.Tolerance) -> card_pb2.Variant:
    runtime, precision = variant.name.split("-")
    message = card_pb2.Variant(
        name=variant.name,
        runtime=runtime,
        precision=precision,
        file=variant.file,
        file_bytes=variant.file_bytes,
        latency_ms=round(variant.latency.p50_ms, 3),
        tolerance=tolerance,
        requires=requirements(variant.name),
    )
    if variant.quality is not None:
        message.map50 = variant.quality.map50
        message.map50_95 = variant.quality.map50_95
    return message


def _quality(request: ReleaseRequest, measured: Measured) -> card_pb2.Quality:
    message = card_pb2.Quality(measured=False, parameters=measured.parameters)
    if measured.quality is not None:
        message.measured = True
        message.data, message.split = request.data, request.split
        message.images = measured.quality.images
        message.map50, message.map50_95 = measured.quality.map50, measured.quality.map50_95
    return message


def _lineage(request: ReleaseRequest, measured: Measured) -> card_pb2.Lineage:
    lineage = request.lineage
    message = card_pb2.Lineage(
        teacher=lineage.teacher,
        teacher_sha256=lineage.teacher_sha256,
        checkpoint_sha256=measured.checkpoint_sha256,
        data_lock_sha256=lineage.data_lock_sha256,
        job=lineage.job,
        job_sha256=lineage.job_sha256,
        seed=lineage.seed,
        commit=_commit(),
        libraries=_versions(_LIBRARIES),
    )
    message.created.FromDatetime(datetime.now(UTC).replace(microsecond=0))
    return message


def _requirements(variants: Sequence[VariantResult]) -> card_pb2.WorkerRequirements:
    runtimes = {one.name.partition("-")[0] for one in variants}
    engines = (_ENGINES.get(runtime, ()) for runtime in sorted(runtimes))
    wanted = (*_WORKER_PACKAGES, *chain.from_iterable(engines))
    version = ".".join(platform.python_version_tuple()[:2])
    return card_pb2.WorkerRequirements(python=version, packages=_versions(wanted))


def _versions(distributions: Sequence[str]) -> dict[str, str]:
    """Return the versions of those that are installed; of onnxruntime's two builds, one is."""
    installed = {}
    for name in distributions:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


def _golden_frame(golden: Golden) -> card_pb2.GoldenFrame:
    found = golden.detections
    return card_pb2.GoldenFrame(
        file=golden.file,
        detections=[
            card_pb2.GoldenDetection(
                x1=box[0], y1=box[1], x2=box[2], y2=box[3], class_id=int(class_id), score=score
            )
            for box, class_id, score in zip(
                found.boxes_xyxy_px.tolist(),
                found.class_ids.tolist(),
                found.scores.tolist(),
                strict=True,
            )
        ],
    )


def _commit(root: Path = PROJECT_ROOT) -> str:
    """Return the project's commit, "" where it is not in git."""
    if not (root / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - git is where the user's PATH has it
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
