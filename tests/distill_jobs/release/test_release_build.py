"""Whole releases of a tiny detector."""

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from google.protobuf import json_format
from onnx import numpy_helper
from tiny_networks import OPEN_GATE, tiny_model

from distill_jobs.data.dataset import Dataset, Sample
from distill_jobs.errors import (
    ArchiveFailed,
    CheckpointRefused,
    DataSetInvalid,
    GateRefused,
    NoVariantLeft,
    ReleaseExists,
    ReleaseInvalid,
    SignatureError,
)
from distill_jobs.progress import Silent
from distill_jobs.recipe.release import DEFAULT_EXPORTS, Gate, Licences
from distill_jobs.release import archive, export, parity, sign
from distill_jobs.release.agreement import Rule, compare
from distill_jobs.release.answers import ask, tensor_of
from distill_jobs.release.build import build_release
from distill_jobs.release.card import as_handlers_read, draft
from distill_jobs.release.dense import DenseDetector
from distill_jobs.release.evaluate import score
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.result import ReleaseResult
from distill_jobs.release.runtimes import TorchRuntime
from distill_jobs.release.standard import Standard
from handlers.fitting import Fit
from handlers.machine import Machine
from handlers.onnx_runtime import OnnxRuntime
from handlers.pipeline import Detections, Frame, Pipeline
from proto.wire.v1 import card_pb2

Make = Callable[..., ReleaseRequest]


def build(request: ReleaseRequest) -> ReleaseResult:
    return build_release(request, Silent())


def unpack(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as parts:
        parts.extractall(folder)
    return folder


def store_is_empty(request: ReleaseRequest) -> bool:
    return not request.model_store.exists() or not list(request.model_store.iterdir())


@pytest.fixture(scope="module")
def released(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_checkpoint: Path,
    small_set: Dataset,
    signing_key: Path,
) -> ReleaseResult:
    """The default variants of the tiny detector, INT8 let through by an open gate."""
    root = tmp_path_factory.mktemp("released")
    return build(request_of(root, tiny_checkpoint, small_set, signing_key))


def request_of(
    root: Path, checkpoint: Path, small_set: Dataset, signing_key: Path
) -> ReleaseRequest:
    return ReleaseRequest(
        checkpoint=checkpoint,
        name="tiny",
        version="1.0",
        role="student",
        image_size=64,
        model_store=root / "store",
        signing_key=signing_key,
        work_dir=root / "work",
        licences=Licences(data="CC0-1.0"),
        samples=small_set.split("val"),
        calibration=tuple(one.image for one in small_set.split("train")),
        data="small",
        split="val",
        gate=OPEN_GATE,
        teacher=teacher_of(small_set.split("val"), small_set.class_names, blind=True),
    )


def teacher_of(
    samples: Sequence[Sample], names: tuple[str, ...], *, blind: bool = False
) -> Standard:
    """A teacher that finds every label, or none."""
    answers = []
    for sample in samples:
        class_ids, boxes = sample.read_labels(72, 48)
        seen = slice(0) if blind else slice(None)
        scores = np.full(len(class_ids), 0.9, np.float32)
        answers.append(
            Detections(boxes[seen], scores[seen], class_ids[seen], 72, 48, 0.0, 0.0, 0.0, 0.0)
        )
    return Standard("oracle", names, (0.25,) * len(names), tuple(answers), tuple(answers))


def test_every_variant_is_in_the_card_fastest_first(released: ReleaseResult) -> None:
    names = [variant.name for variant in released.card.variants]
    latencies = [variant.latency_ms for variant in released.card.variants]

    bf16 = ["openvino-bf16", "openvino-int8bf16"] if Machine.here().has_bf16 else []
    plain = ["onnxruntime-fp32", "onnxruntime-int8", "openvino-int8", "torchscript-fp32"]
    assert sorted(names) == sorted(plain + bf16)
    assert latencies == sorted(latencies)
    assert min(latencies) > 0
    assert set(released.left_out) | set(names) == set(DEFAULT_EXPORTS)


def test_fp32_variants_have_the_checkpoints_own_quality(released: ReleaseResult) -> None:
    assert released.quality is not None
    for variant in released.variants:
        assert variant.quality is not None
        if variant.name.endswith("fp32"):
            assert variant.quality.map50_95 == pytest.approx(released.quality.map50_95, abs=1e-4)
            assert variant.strict_f1 > 0.99


def test_a_release_is_asked_in_rectangles_unless_it_is_to_stay_square(
    request_for: Make, released: ReleaseResult, tmp_path: Path
) -> None:
    square = build(request_for(rectangular=False, samples=(), images=_images_of(request_for())))

    widths = {}
    for name, result in (("rectangular", released), ("square", square)):
        pipeline = Pipeline.load(unpack(result.archive, tmp_path / name), "onnxruntime-fp32")
        stride = pipeline.card.input.stride
        widths[name] = (stride, Fit.of(72, 15, pipeline.card.input).shape)
        (answer,) = pipeline.detect([Frame(_picture_of(request_for()))])
        assert isinstance(answer, Detections)

    assert widths == {"rectangular": (32, (32, 64)), "square": (0, (64, 64))}


def _images_of(request: ReleaseRequest) -> tuple[Path, ...]:
    return tuple(sample.image for sample in request.samples)


def _picture_of(request: ReleaseRequest) -> bytes:
    return request.samples[0].image.read_bytes()


def test_the_archive_holds_what_the_card_says(released: ReleaseResult, tmp_path: Path) -> None:
    folder = unpack(released.archive, tmp_path)
    card = json.loads((folder / "card.json").read_text())

    found = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in {"card.json", "MANIFEST.json"}
    }
    assert found == card["digests"]
    assert {"detection_handler.py", "handlers/pipeline.py", "golden/1.jpg"} <= found.keys()
    assert {"student.onnx", "student-int8.onnx", "student.torchscript"} <= found.keys()
    manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text())
    assert manifest["model"]["modelName"] == "tiny"
    assert manifest["model"]["modelVersion"] == "1.0"
    assert manifest["model"]["handler"] == "detection_handler.py"


def test_the_card_is_the_proto_with_its_own_field_names(
    released: ReleaseResult, tmp_path: Path
) -> None:
    text = (unpack(released.archive, tmp_path) / "card.json").read_text()

    assert json_format.Parse(text, card_pb2.Card()) == released.card
    card = json.loads(text)
    assert card["schema_version"] == 1
    assert card["post_processing"]["operating_thresholds"] == [0.25] * 3
    assert card["quality"]["measured"] is True
    assert card["quality"]["images"] == 104
    assert card["quality"]["teacher_map50"] == 0.0
    assert card["lineage"]["checkpoint_sha256"]
    assert card["worker_requirements"]["packages"]["torch"] == torch.__version__.split("+")[0]
    assert "simplejpeg" in card["worker_requirements"]["packages"]


def test_nothing_in_the_archive_imports_another_island(
    released: ReleaseResult, tmp_path: Path
) -> None:
    folder = unpack(released.archive, tmp_path)

    code = "\n".join(path.read_text() for path in folder.rglob("*.py"))
    for island in ("distill_jobs", "serving", "proto", "ultralytics", "google"):
        assert f"import {island}" not in code
        assert f"from {island}" not in code


def test_golden_frames_get_their_answers_from_every_variant(
    released: ReleaseResult, tmp_path: Path
) -> None:
    folder = unpack(released.archive, tmp_path)
    frames = [(folder / frame.file).read_bytes() for frame in released.card.golden_frames]
    thresholds = np.full(3, 0.25, np.float32)

    assert 1 <= len(frames) <= 4
    assert any(frame.detections for frame in released.card.golden_frames)
    reference = Pipeline.load(folder, "onnxruntime-fp32").detect([Frame(one) for one in frames])
    for variant in released.card.variants:
        answers = Pipeline.load(folder, variant.name).detect([Frame(one) for one in frames])
        rule = Rule(variant.tolerance.min_iou, variant.tolerance.max_score_difference, band=0.0)
        agreement = compare(reference, answers, thresholds, rule)
        assert agreement.f1 >= variant.tolerance.min_f1


def test_the_expected_golden_detections_are_the_references(
    released: ReleaseResult, tmp_path: Path
) -> None:
    folder = unpack(released.archive, tmp_path)
    pipeline = Pipeline.load(folder, "onnxruntime-fp32")

    for frame in released.card.golden_frames:
        (answer,) = pipeline.detect([Frame((folder / frame.file).read_bytes())])
        expected = [(one.x1, one.y1, one.x2, one.y2) for one in frame.detections]
        assert answer.boxes_xyxy_px == pytest.approx(np.array(expected), abs=0.2)
        assert answer.scores == pytest.approx([one.score for one in frame.detections], abs=0.01)


def test_the_archive_verifies_until_it_is_altered(
    released: ReleaseResult, signing_key: Path, tmp_path: Path
) -> None:
    public_key = sign.public_key_of(signing_key)
    sign.verify(released.archive, public_key)
    altered = tmp_path / released.archive.name
    content = bytearray(released.archive.read_bytes())
    content[len(content) // 2] ^= 1
    altered.write_bytes(content)

    with pytest.raises(SignatureError):
        sign.verify(altered, public_key, released.signature)


@pytest.mark.slow
def test_an_int8_that_strays_is_left_out_with_its_figure(
    request_for: Make, small_set: Dataset
) -> None:
    strict = Gate(min_retention_map50=0.0, max_int8_drop_map50_95=1.0, min_matched_f1=0.99999)
    request = request_for(
        samples=small_set.split("val"),
        exports=("onnxruntime-fp32", "onnxruntime-int8"),
        gate=strict,
    )

    result = build(request)

    assert [variant.name for variant in result.card.variants] == ["onnxruntime-fp32"]
    assert "gate.min_matched_f1" in result.left_out["onnxruntime-int8"]
    with zipfile.ZipFile(result.archive) as parts:
        assert "student-int8.onnx" not in parts.namelist()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"calibration": ()}, "needs calibration images"), ({}, "6 held-out images are too few")],
)
def test_int8_without_what_it_needs_is_left_out(
    request_for: Make, changes: dict[str, object], reason: str
) -> None:
    request = request_for(exports=("onnxruntime-fp32", "onnxruntime-int8"), **changes)

    assert reason in build(request).left_out["onnxruntime-int8"]


def test_int8_alone_that_cannot_be_judged_leaves_nothing(request_for: Make) -> None:
    request = request_for(exports=("onnxruntime-int8",))

    with pytest.raises(NoVariantLeft, match="too few"):
        build(request)

    assert store_is_empty(request)


def test_without_labels_the_card_says_unmeasured(request_for: Make, small_set: Dataset) -> None:
    images = tuple(sample.image for sample in small_set.split("val")[:4])
    request = request_for(samples=(), images=images)

    result = build(request)

    assert result.quality is None
    assert not result.card.quality.measured
    assert not result.card.variants[0].HasField("map50")
    assert len(result.card.golden_frames) == 3


def test_a_student_the_gate_refuses_leaves_its_report_and_no_archive(
    request_for: Make, small_set: Dataset
) -> None:
    samples = small_set.split("val")[:6]
    limits = Gate(min_retention_map50=0.9, max_file_mb=0.001, min_class_retention_map50=0.5)
    request = request_for(teacher=teacher_of(samples, small_set.class_names), gate=limits)

    with pytest.raises(GateRefused) as refused:
        build(request)

    assert store_is_empty(request)
    broken = {failure.rule for failure in refused.value.failures}
    assert broken == {"min_retention_map50", "max_file_mb"}
    assert "gate.min_retention_map50" in refused.value.message
    assert "MB too much" in refused.value.message
    report = json.loads((request.work_dir / "report.json").read_text())
    assert {one["rule"] for one in report["refused"]} == broken
    verdicts = {one["rule"]: one["verdict"] for one in report["gate"]}
    assert verdicts["min_class_retention_map50"] == "not judged"  # 18 labels of three classes
    page = (request.work_dir / "report.html").read_text()
    assert "The gate refuses it" in page
    assert page.count("data:image/png;base64,") == 3


def test_archives_are_immutable(request_for: Make) -> None:
    request = request_for()
    first = build(request)
    content = first.archive.read_bytes()

    with pytest.raises(ReleaseExists, match="archives are immutable"):
        build(request)

    assert first.archive.read_bytes() == content
    assert sorted(path.name for path in request.model_store.iterdir()) == [
        "tiny-1.0.mar",
        "tiny-1.0.mar.sig",
        "tiny-1.0.report.html",
    ]


def test_a_signature_that_a_killed_publisher_left_is_in_nobodys_way(
    request_for: Make, signing_key: Path
) -> None:
    request = request_for()
    request.model_store.mkdir()
    (request.model_store / "tiny-1.0.mar.sig").write_text("of an archive that never came")

    result = build(request)

    sign.verify(result.archive, sign.public_key_of(signing_key))


def test_an_archive_goes_before_its_signature(tmp_path: Path) -> None:
    path = tmp_path / "tiny-1.0.mar"
    path.write_bytes(b"x")
    sign.signature_of(path).mkdir()  # cannot be unlinked, as if killed at this moment

    with pytest.raises(OSError, match=r"tiny-1\.0\.mar\.sig"):
        archive.remove(path)

    assert not path.exists()


def test_int8_is_not_judged_on_what_it_was_fitted_to(request_for: Make, small_set: Dataset) -> None:
    samples = small_set.split("val")[:6]

    with pytest.raises(ReleaseInvalid, match="1 of its images are held-out") as refused:
        request_for(samples=samples, calibration=(samples[0].image,))

    assert refused.value.field == "calibration"


def test_a_second_version_stands_beside_the_first(request_for: Make) -> None:
    first, second = build(request_for()), build(request_for(version="1.1"))

    assert first.archive.exists()
    assert second.archive.name == "tiny-1.1.mar"


def test_a_model_store_that_is_a_file_is_refused_at_once(request_for: Make, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("not a folder")

    with pytest.raises(ArchiveFailed, match="taken"):
        build(request_for(model_store=tmp_path / "taken"))


def test_a_key_that_fails_at_the_last_step_leaves_nothing(
    request_for: Make, tmp_path: Path
) -> None:
    (tmp_path / "junk.pem").write_text("junk")
    request = request_for(signing_key=tmp_path / "junk.pem")

    with pytest.raises(SignatureError):
        build(request)

    assert store_is_empty(request)


def test_an_archiver_that_does_not_run_leaves_nothing(
    request_for: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The archiver is a process of its own; its interpreter is gone by the time it is needed.
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    request = request_for()

    with pytest.raises(ArchiveFailed, match="did not run"):
        build(request)

    assert store_is_empty(request)


def test_an_image_that_does_not_decode_is_named(request_for: Make, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    request = request_for(samples=(), images=(broken,))

    with pytest.raises(DataSetInvalid, match=r"broken\.jpg"):
        build(request)

    assert store_is_empty(request)


def test_a_missing_checkpoint_is_named(request_for: Make, tmp_path: Path) -> None:
    with pytest.raises(CheckpointRefused, match=r"none\.pt"):
        build(request_for(checkpoint=tmp_path / "none.pt"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "Tiny"}, "name"),
        ({"name": "../tiny"}, "name"),
        ({"version": "1.0.0.0"}, "version"),
        ({"version": "v1"}, "version"),
        ({"exports": ("tensorrt-fp16",)}, "exports"),
        ({"exports": ()}, "exports"),
        ({"samples": (), "images": ()}, "images"),
    ],
)
def test_a_bad_field_is_named(request_for: Make, changes: dict[str, object], field: str) -> None:
    with pytest.raises(ReleaseInvalid) as refused:
        request_for(**changes)

    assert refused.value.field == field


def test_names_that_do_not_fit_the_head_are_refused(request_for: Make) -> None:
    with pytest.raises(ReleaseInvalid, match="2 names for a head of 3 classes"):
        build(request_for(class_names=("a", "b")))


def test_names_of_other_classes_are_refused(request_for: Make) -> None:
    with pytest.raises(ReleaseInvalid, match="class 1 is 'odd' in the data set and 'long' in the"):
        build(request_for(class_names=("round", "odd", "long")))


@pytest.mark.parametrize("factor", [1.0, 1.05])
def test_perturbed_weights_are_found_out(request_for: Make, tmp_path: Path, factor: float) -> None:
    """One convolution of the exported graph is scaled: the parity check must see it."""
    request = request_for()
    module = DenseDetector(tiny_model(), 64)
    card = as_handlers_read(draft(request, ("a", "b", "c")))
    file = export.export_onnx(module, tmp_path / "m.onnx")
    graph = onnx.load(str(file))
    weight = next(
        one for one in graph.graph.initializer if one.name.endswith("model.4.cv1.conv.weight")
    )
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * factor, weight.name))
    onnx.save(graph, str(file))
    runtime = OnnxRuntime(file, tensor_name="images", output_name="predictions", threads=1)

    def answers(of: object) -> parity.Answers:
        return ask(card, of, request.image_files, request.samples, on_image=lambda _: None)

    reference = TorchRuntime(module)
    thresholds = np.full(3, 0.25, np.float32)
    verdict = parity.judge("fp32", answers(reference), answers(runtime), thresholds, request.gate)
    batch = np.stack([tensor_of(card, image) for image in request.image_files])
    raw = parity.raw_fault(reference, runtime, batch)

    same = factor == 1.0
    assert verdict.passed is same
    assert (raw == "") is same


def test_the_evaluator_over_an_archive_gives_the_cards_figure(
    released: ReleaseResult, small_set: Dataset, tmp_path: Path
) -> None:
    pipeline = Pipeline.load(unpack(released.archive, tmp_path), "onnxruntime-fp32")

    samples = small_set.split("val")
    answers = [
        pipeline.detect([Frame(one.image.read_bytes(), min_score=0.001, max_detections=300)])[0]
        for one in samples
    ]

    quality = score(answers, samples, small_set.class_names)

    stated = {one.name: one for one in released.card.variants}["onnxruntime-fp32"]
    assert quality.map50_95 == pytest.approx(stated.map50_95, abs=1e-6)
