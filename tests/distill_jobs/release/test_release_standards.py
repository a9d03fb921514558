"""Students held against their teacher and against the live model, with labels and without."""

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_networks import CLASSES, OPEN_GATE, tiny_model

from distill_jobs.data.dataset import Dataset, Sample
from distill_jobs.errors import GateRefused, ReleaseInvalid, SignatureError
from distill_jobs.progress import Silent
from distill_jobs.recipe.thresholds import Thresholds
from distill_jobs.release import sign, standard
from distill_jobs.release.answers import detect_for_scoring
from distill_jobs.release.asking import ask_checkpoint
from distill_jobs.release.assess import choose_thresholds
from distill_jobs.release.build import build_release
from distill_jobs.release.evaluate import match_all
from distill_jobs.release.looking import looked_at
from distill_jobs.release.operating import Operating
from distill_jobs.release.request import ReleaseRequest
from distill_jobs.release.result import ReleaseResult
from distill_jobs.release.standard import Standard
from distill_jobs.release.stored import read_detections
from distill_jobs.release.workbench import stage_of
from handlers.pipeline import Frame, Pipeline

Make = Callable[..., ReleaseRequest]


def build(request: ReleaseRequest) -> ReleaseResult:
    return build_release(request, Silent())


def gate_with(**limits: Any) -> Any:
    return OPEN_GATE.model_copy(update=limits)


def paths(dataset: Dataset, start: int, end: int) -> tuple[Path, ...]:
    return tuple(sample.image for sample in dataset.split("val")[start:end])


@pytest.fixture
def other_checkpoint(tmp_path: Path) -> Path:
    """Another random network: it sees other things."""
    path = tmp_path / "other.pt"
    torch.save({"model": tiny_model(seed=11), "train_args": {"task": "detect"}}, path)
    return path


@pytest.fixture
def seen(request_for: Make, small_set: Dataset, tmp_path: Path) -> tuple[Sample, ...]:
    """Images whose labels are what the tiny detector sees: it is good at these."""
    return labelled_as_seen(request_for, paths(small_set, 0, 40), tmp_path)


def labelled_as_seen(
    request_for: Make, images: tuple[Path, ...], folder: Path
) -> tuple[Sample, ...]:
    request = request_for(samples=(), images=images)
    answers = ask_checkpoint(request.checkpoint, request, Silent()).held_out
    samples = []
    for image, answer in zip(images, answers, strict=True):
        size = np.array([answer.width, answer.height] * 2)
        loud = answer.scores >= 0.25
        rows = [
            f"{class_id} {(x1 + x2) / 2} {(y1 + y2) / 2} {x2 - x1} {y2 - y1}\n"
            for class_id, (x1, y1, x2, y2) in zip(
                answer.class_ids[loud], answer.boxes_xyxy_px[loud] / size, strict=True
            )
            if x2 > x1 and y2 > y1
        ]
        labels = folder / f"{image.stem}.txt"
        labels.write_text("".join(rows))
        samples.append(Sample(image, labels, 3))
    return tuple(samples)


def test_the_handlers_use_the_thresholds_that_were_matched(
    request_for: Make, small_set: Dataset, tmp_path: Path, other_checkpoint: Path
) -> None:
    validation = small_set.split("val")[6:46]
    rules = Thresholds(match="count", min_instances=1)
    request = request_for(validation=validation, thresholds=rules)
    teacher = ask_checkpoint(other_checkpoint, request, Silent())

    result = build(replace(request, teacher=teacher))

    thresholds = list(result.card.post_processing.operating_thresholds)
    assert thresholds != [0.25] * 3
    with zipfile.ZipFile(result.archive) as parts:
        parts.extractall(tmp_path / "archive")
    pipeline = Pipeline.load(tmp_path / "archive")
    heard = np.zeros(3, int)
    for sample in validation:
        (answer,) = pipeline.detect([Frame(sample.image.read_bytes())])
        heard += np.bincount(answer.class_ids, minlength=3)
    wanted = Operating.of(
        match_all(teacher.validation, validation), teacher.thresholds_array
    ).raised.sum(axis=0)
    # As many detections as the teacher, but for equal scores and the card's limit an image.
    assert wanted.min() > 0
    assert heard == pytest.approx(wanted, rel=0.05, abs=2)
    origins = result.card.post_processing.threshold_origins
    assert [one.matched for one in origins] == ["count"] * 3
    assert [one.teacher_detections for one in origins] == wanted.tolist()


@pytest.mark.slow
def test_thresholds_are_matched_by_what_will_serve(
    request_for: Make, small_set: Dataset, tmp_path: Path, other_checkpoint: Path
) -> None:
    # Matched by count each threshold lies between two scores, so INT8's own differ from PyTorch's.
    request = request_for(
        samples=small_set.split("val")[:100],
        validation=small_set.split("val")[100:],
        exports=("onnxruntime-int8",),
        gate=OPEN_GATE.model_copy(
            update={"max_int8_drop_map50_95": 1.0, "min_matched_f1": 0.0, "confidence": None}
        ),
        thresholds=Thresholds(match="count", min_instances=1),
    )
    taught = replace(request, teacher=ask_checkpoint(other_checkpoint, request, Silent()))

    result = build(taught)

    with zipfile.ZipFile(result.archive) as parts:
        parts.extractall(tmp_path / "archive")
    images = [one.image for one in request.validation]
    served = detect_for_scoring(Pipeline.load(tmp_path / "archive"))
    in_pytorch = read_detections(request.work_dir / standard.VALIDATION, images)
    answers = [served(one.read_bytes()) for one in images]
    chosen, floats = (
        [one.threshold for one in choose_thresholds(taught, CLASSES, ones)]
        for ones in (answers, in_pytorch or ())
    )
    thresholds = list(result.card.post_processing.operating_thresholds)
    assert thresholds == pytest.approx(chosen)
    assert thresholds != pytest.approx(floats)


class Heard(Silent):
    """Keeps the names of the stages."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def stage(self, name: str, total: int) -> None:
        self.stages.append(name)


def ask_now(
    checkpoint: Path, request: ReleaseRequest, reporter: Silent, stage: Path | None = None
) -> standard.Standard:
    """Ask a checkpoint about the frames that are there now, too."""
    with looked_at(request, reporter) as looked:
        return ask_checkpoint(checkpoint, looked, reporter, stage=stage)


def test_a_release_can_be_a_standard_later(
    request_for: Make, small_set: Dataset, tmp_path: Path
) -> None:
    yard = tmp_path / "yard"
    shutil.copytree(small_set.split("train")[0].image.parent, yard)
    request = request_for(
        validation=small_set.split("val")[6:10], role="teacher", gate=gate_with(frames=yard)
    )
    build(request)
    stage = stage_of(request.work_dir, request.key)
    student = replace(request, name="small", role="student", work_dir=tmp_path / "small")

    heard, heard_later = Heard(), Heard()
    kept = ask_now(request.checkpoint, student, heard, stage=stage)
    (yard / "000.png").rename(yard / "late.png")
    later = ask_now(request.checkpoint, student, heard_later, stage=stage)

    assert (len(kept.held_out), len(kept.validation), len(kept.frames)) == (6, 4, 8)
    assert (kept.name, kept.folder) == ("tiny-1.0", stage)
    assert heard.stages == []
    # The teacher's file is weighed and timed all the same where the yard has changed.
    assert later.folder == stage
    assert heard_later.stages == ["tiny: frames answers"]
    asked = ask_now(request.checkpoint, student, Silent())
    assert asked.folder != stage
    for one, other in zip(later.frames, asked.frames, strict=True):
        assert (one.scores == other.scores).all()
        assert (one.boxes_xyxy_px == other.boxes_xyxy_px).all()


def test_a_checkpoint_that_was_never_released_is_weighed_and_timed(
    request_for: Make, seen: tuple[Sample, ...]
) -> None:
    strict = gate_with(max_size_ratio=1e-6, max_latency_ratio=1e-6)
    request = request_for(samples=seen, gate=strict)
    teacher = ask_checkpoint(request.checkpoint, request, Silent())

    with pytest.raises(GateRefused) as refused:
        build(replace(request, teacher=teacher))

    measured = {one.rule: one.measured for one in refused.value.failures}
    assert measured["max_size_ratio"] == pytest.approx(1.0, rel=0.01)
    assert measured["max_latency_ratio"] > 0


def test_the_gate_judges_the_answers_of_the_variant_that_will_serve(
    request_for: Make, small_set: Dataset, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    request = request_for(
        samples=labelled_as_seen(request_for, paths(small_set, 0, 104), tmp_path),
        exports=("onnxruntime-int8",),
        choosing=small_set.split("train"),
        calibration=(small_set.split("train")[0].image,),
        gate=gate_with(frames=small_set.split("train")[0].image.parent, min_agreement_f1=0.0),
    )
    teacher = ask_now(tiny_checkpoint, request, Silent())

    result = build(replace(request, teacher=teacher))

    (int8,) = result.variants
    assert int8.quality is not None
    assert result.quality is not None
    assert int8.quality.map50_95 != result.quality.map50_95
    card = result.card.quality
    assert card.map50_95 == int8.quality.map50_95
    assert [one.ap50_95 for one in card.per_class] == [
        one.ap50_95 for one in int8.quality.per_class
    ]
    judged = {one.rule: one for one in result.checks}
    kept = judged["min_retention_map50_95"].measured
    assert kept is not None
    assert kept.value == pytest.approx(int8.quality.map50_95 / result.quality.map50_95)
    agreed = judged["min_agreement_f1"].measured
    assert agreed is not None
    assert agreed.value < 1.0
    report = json.loads((request.work_dir / "report.json").read_text())
    assert report["quality"]["map50_95"] == int8.quality.map50_95
    assert report["quality_in_pytorch"]["map50_95"] == result.quality.map50_95


def test_a_student_like_its_teacher_passes_every_limit(
    request_for: Make, seen: tuple[Sample, ...]
) -> None:
    request = request_for(role="teacher", name="big", samples=seen)
    build(request)
    teacher = ask_checkpoint(
        request.checkpoint,
        request,
        Silent(),
        stage=stage_of(request.work_dir, request.key),
    )
    strict = gate_with(
        min_retention_map50=1.0,
        min_retention_map50_95=1.0,
        min_class_retention_map50=1.0,
        min_recall_retention=1.0,
        min_instances=1,
        max_size_ratio=1.01,
        confidence=0.95,
    )

    result = build(request_for(teacher=teacher, gate=strict, samples=seen))

    assert result.quality is not None
    assert result.quality.map50_95 > 0.8
    verdicts = {one.rule: one.verdict for one in result.checks if one.limit is not None}
    assert set(verdicts.values()) == {"passed"}
    assert len(verdicts) == 5
    shown = {one.rule: one for one in result.card.gate}
    assert shown["min_retention_map50"].low == shown["min_retention_map50"].measured == 1.0
    assert shown["max_latency_ratio"].verdict == "reported"
    assert shown["max_latency_ratio"].low > 0


def test_without_labels_the_agreement_decides(
    request_for: Make, small_set: Dataset, other_checkpoint: Path
) -> None:
    request = request_for(samples=(), images=paths(small_set, 0, 12))
    itself = ask_checkpoint(request.checkpoint, request, Silent())
    stranger = ask_checkpoint(other_checkpoint, request, Silent())

    with pytest.raises(GateRefused) as refused:
        build(replace(request, teacher=stranger))
    result = build(replace(request, teacher=itself))

    (failure,) = refused.value.failures
    assert failure.rule == "min_agreement_f1"
    assert failure.measured < 0.75
    assert result.quality is None
    (check,) = [one for one in result.checks if one.verdict == "passed"]
    assert check.measured is not None
    assert (check.rule, check.measured.low) == ("min_agreement_f1", 1.0)


def test_unlabelled_frames_count_beside_the_labels(
    request_for: Make, small_set: Dataset, other_checkpoint: Path
) -> None:
    frames = small_set.split("train")[0].image.parent
    request = request_for(gate=gate_with(frames=frames, min_agreement_f1=0.9))
    stranger = ask_now(other_checkpoint, request, Silent())

    with pytest.raises(GateRefused) as refused:
        build(replace(request, teacher=stranger))

    assert [one.rule for one in refused.value.failures] == ["min_agreement_f1"]
    assert "8 frames" in refused.value.message
    assert len(stranger.frames) == 8


def test_a_folder_without_frames_is_named(request_for: Make, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(ReleaseInvalid, match=r"gate\.frames: .*empty holds no image"):
        build(request_for(gate=gate_with(frames=tmp_path / "empty")))


def test_a_student_worse_than_the_live_one_is_refused(
    request_for: Make, seen: tuple[Sample, ...], other_checkpoint: Path
) -> None:
    live = build(request_for(samples=seen, name="live"))
    limits = gate_with(live=live.archive)
    student = request_for(samples=seen, checkpoint=other_checkpoint, gate=limits, version="1.1")

    with pytest.raises(GateRefused) as refused:
        build(student)
    same = build(request_for(samples=seen, version="1.2", gate=limits))

    (failure,) = refused.value.failures
    assert live.quality is not None
    assert live.quality.map50_95 > 0.8
    assert failure.rule == "max_live_drop_map50_95"
    assert failure.measured > 0.1
    names = sorted(path.name for path in student.model_store.glob("*.mar"))
    assert names == ["live-1.0.mar", "tiny-1.2.mar"]
    (check,) = [one for one in same.checks if one.rule == "max_live_drop_map50_95"]
    assert check.measured is not None
    assert check.measured.value == pytest.approx(0.0, abs=1e-3)
    assert "Live model: live-1.0" in (student.work_dir / "report.html").read_text()


def test_a_live_archive_of_another_key_is_refused(request_for: Make, tmp_path: Path) -> None:
    stranger = sign.ensure_key(tmp_path / "stranger.pem")
    live = build(request_for(name="live", signing_key=stranger))

    with pytest.raises(SignatureError, match="another key signed it"):
        build(request_for(gate=gate_with(live=live.archive)))


def test_a_live_archive_that_is_absent_is_named(request_for: Make, tmp_path: Path) -> None:
    with pytest.raises(ReleaseInvalid, match=r"gate\.live: .*gone\.mar: no such archive"):
        build(request_for(gate=gate_with(live=tmp_path / "gone.mar")))


def test_thresholds_are_not_chosen_on_what_the_gate_judges_by(
    request_for: Make, small_set: Dataset
) -> None:
    with pytest.raises(ReleaseInvalid, match="operating thresholds would be judged on what") as no:
        request_for(validation=small_set.split("val")[5:8])

    assert no.value.field == "validation"


def test_without_a_validation_split_the_default_stays_and_says_why(request_for: Make) -> None:
    alone = request_for(thresholds=Thresholds(default=0.3))
    taught = replace(alone, teacher=Standard("big", CLASSES, (0.25,) * 3, ()))

    chosen = [choose_thresholds(request, CLASSES, ()) for request in (alone, taught)]

    assert {one.threshold for ones in chosen for one in ones} == {0.3}
    assert [ones[0].note for ones in chosen] == [
        "there is no teacher to match",
        "there is no validation split beside the one that the gate judges by",
    ]


def test_a_teacher_of_other_classes_is_refused(request_for: Make, tmp_path: Path) -> None:
    model = tiny_model()
    model.names = {0: "round", 1: "odd", 2: "long"}
    torch.save({"model": model, "train_args": {"task": "detect"}}, tmp_path / "odd.pt")

    with pytest.raises(ReleaseInvalid, match=r"teacher: .*round, odd, long, the student round"):
        ask_checkpoint(tmp_path / "odd.pt", request_for(), Silent())


def test_the_report_holds_what_the_card_says(request_for: Make, seen: tuple[Sample, ...]) -> None:
    request = request_for(samples=seen)
    teacher = ask_checkpoint(request.checkpoint, request, Silent())

    result = build(replace(request, teacher=teacher))

    report = json.loads((request.work_dir / "report.json").read_text())
    assert report["sha256"] == result.sha256
    assert report["refused"] == []
    assert report["calibration"]["error"] == result.card.quality.calibration_error
    assert result.card.quality.teacher_calibration_error == pytest.approx(
        result.card.quality.calibration_error, abs=1e-4
    )
    by_class = {one.class_id: one for one in result.card.quality.per_class}
    for one in report["quality"]["per_class"]:
        assert by_class[one["class_id"]].ap50_95 == one["ap50_95"]
        assert by_class[one["class_id"]].objects == one["objects"]
        assert by_class[one["class_id"]].recall > 0.9
    page = (request.work_dir / "report.html").read_text()
    for text in (
        "Gate",
        "Classes",
        "Object sizes",
        "Operating thresholds",
        "Variants",
        "PyTorch",
        "round",
    ):
        assert f"{text}</h2>" in page or f">{text}</td>" in page
    assert "not judged: fewer than 20 objects" in page  # nothing is large in 72 x 48 pixels


def test_a_standard_knows_its_thresholds() -> None:
    standard = Standard("x", ("a", "b"), (0.2, 0.4), ())

    assert standard.thresholds_array == pytest.approx([0.2, 0.4])
    assert standard.thresholds_array.dtype == np.float32
