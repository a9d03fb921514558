"""`understudy release build|sign|verify`."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from tiny_networks import SIDE, tiny_model
from typer.testing import CliRunner, Result

from distill_jobs.data.dataset import Dataset
from distill_jobs.environment import data_root
from distill_jobs.release.cli import release_app

WEIGHTS = data_root() / "weights"


def call(*words: object) -> Result:
    return CliRunner().invoke(release_app, [str(word) for word in words])


def build(checkpoint: Path, folder: Path, *more: object) -> Result:
    return call(
        "build",
        *("--checkpoint", checkpoint, "--name", "tiny", "--image-size", SIDE),
        *("--model-store", folder / "store", "--key", folder / "key.pem"),
        *more,
    )


def test_build_sign_and_verify(tiny_checkpoint: Path, small_set: Dataset, tmp_path: Path) -> None:
    built = build(
        tiny_checkpoint,
        tmp_path,
        *("--data", small_set.path, "--accept-val", "--limit", 5, "--exports", "onnxruntime-fp32"),
        *("--work-dir", tmp_path / "work"),
    )
    archive = tmp_path / "store" / "tiny-1.0.mar"
    verified = call("verify", archive, "--public-key", tmp_path / "key.pub.pem")
    signed = call("sign", archive, "--key", tmp_path / "other.pem")
    refused = call("verify", archive, "--public-key", tmp_path / "key.pub.pem")

    assert built.exit_code == 0, built.output
    assert "onnxruntime-fp32" in built.output
    report = json.loads((tmp_path / "work" / "report.json").read_text())
    assert report["quality"]["images"] == 5
    assert (verified.exit_code, signed.exit_code) == (0, 0)
    assert refused.exit_code == 2
    assert "another key signed it" in refused.output


def test_a_refused_student_leaves_its_report(
    tiny_checkpoint: Path, small_set: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "gate.yaml").write_text("max_file_mb: 0.001\nresamples: 200\n")
    few = ("--data", small_set.path, "--accept-val", "--limit", 5, "--exports", "onnxruntime-fp32")

    refused = build(
        tiny_checkpoint,
        tmp_path,
        *few,
        *("--teacher", tiny_checkpoint, "--gate", tmp_path / "gate.yaml"),
    )

    assert refused.exit_code == 2
    told = " ".join(refused.output.split())
    assert "gate.max_file_mb: the default variant's file is" in told
    page = Path(told.partition("All figures: ")[2].partition("report.html")[0] + "report.html")
    assert "The gate refuses it" in page.read_text()
    assert not list((tmp_path / "store").iterdir())
    shutil.rmtree(page.parent)


@pytest.fixture
def with_test(small_set: Dataset, tmp_path: Path) -> Path:
    """A data.yaml whose test split is judged by and whose val split has matched thresholds."""
    content = {
        "path": str(small_set.path.parent),
        "train": "images/train",
        "val": "images/train",
        "test": "images/val",
        "names": list(small_set.class_names),
    }
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "data.yaml"


def test_test_judges_and_val_matches_the_thresholds(
    tiny_checkpoint: Path, with_test: Path, tmp_path: Path
) -> None:
    (tmp_path / "gate.yaml").write_text("{resamples: 200, min_retention_map50: 0}")

    built = build(
        tiny_checkpoint,
        tmp_path,
        *("--data", with_test, "--limit", 5, "--exports", "onnxruntime-fp32"),
        *("--teacher", tiny_checkpoint, "--gate", tmp_path / "gate.yaml"),
        *("--work-dir", tmp_path / "work"),
    )

    assert built.exit_code == 0, built.output
    with zipfile.ZipFile(tmp_path / "store" / "tiny-1.0.mar") as parts:
        card = json.loads(parts.read("card.json"))
    assert (card["quality"]["split"], card["quality"]["images"]) == ("test", 5)
    origins = card["post_processing"]["threshold_origins"]
    assert {one["matched"] for one in origins} <= {"precision", "count"}
    # 8 pictures of three objects of three classes: none has 20 labels, all together have.
    assert all("all classes together" in one["note"] for one in origins)
    assert "max_size_ratio 1.0" in built.output
    assert "max_latency_ratio" in built.output
    assert "min_class_retention_map50" not in built.output  # the report's, without a limit


def test_val_judges_only_where_that_is_accepted(
    tiny_checkpoint: Path, small_set: Dataset, with_test: Path, tmp_path: Path
) -> None:
    few = ("--limit", 5, "--exports", "onnxruntime-fp32")
    (tmp_path / "gate.yaml").write_text("accept_val: true")

    alone = build(tiny_checkpoint, tmp_path, "--data", small_set.path, *few)
    asked_for = build(tiny_checkpoint, tmp_path, "--data", with_test, "--split", "val", *few)
    accepted = build(
        tiny_checkpoint,
        tmp_path,
        *("--data", small_set.path, "--gate", tmp_path / "gate.yaml", *few),
    )

    assert (alone.exit_code, asked_for.exit_code) == (2, 2)
    assert "split: " in alone.output
    assert "accept that with --accept-val" in " ".join(alone.output.split())
    assert accepted.exit_code == 0, accepted.output


def test_what_was_trained_on_judges_nothing(
    tiny_checkpoint: Path, small_set: Dataset, tmp_path: Path
) -> None:
    trained_on = small_set.split("train")[0].image.parent
    (tmp_path / "gate.yaml").write_text(f"{{frames: {trained_on}, accept_val: true}}")
    data = ("--data", small_set.path, "--exports", "onnxruntime-fp32")

    judged = build(tiny_checkpoint, tmp_path, *data, "--split", "train")
    agreed = build(tiny_checkpoint, tmp_path, *data, "--limit", 5, "--gate", tmp_path / "gate.yaml")

    assert (judged.exit_code, agreed.exit_code) == (2, 2)
    assert "the checkpoint was trained on `train`" in " ".join(judged.output.split())
    assert "gate.frames" in agreed.output
    assert "the student is trained on them all" in " ".join(agreed.output.split())


def test_a_gate_file_that_is_none_is_one_clear_line(
    tiny_checkpoint: Path, small_set: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "gate.yaml").write_text("min_retention: 0.9\n")

    refused = build(
        tiny_checkpoint, tmp_path, "--data", small_set.path, "--gate", tmp_path / "gate.yaml"
    )

    assert refused.exit_code == 2
    assert "gate.yaml:1: min_retention: unknown key" in refused.output


def test_what_is_no_archive_is_not_signed(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("my notes")

    signed = call("sign", notes, "--key", tmp_path / "key.pem")

    assert signed.exit_code == 2
    assert "not a model archive" in signed.output
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_build_without_labels_says_unmeasured(
    tiny_checkpoint: Path, small_set: Dataset, tmp_path: Path
) -> None:
    folder = small_set.split("train")[0].image.parent

    built = build(tiny_checkpoint, tmp_path, "--images", folder)

    assert built.exit_code == 0, built.output
    assert "quality: unmeasured" in built.output
    assert "left out: onnxruntime-int8: INT8 needs calibration images" in built.output


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "images: no image to check the exports on"),
        (("--data", "none.yaml"), "no such data set file"),
        (("--version", "one"), "version: 'one' must be one to three numbers"),
        (("--exports", "onnx"), "exports: ['onnx'] given"),
        (("--image-size", "100"), "image_size: 100 is not a multiple of the model's stride 32"),
    ],
)
def test_bad_options_are_one_clear_line(
    tiny_checkpoint: Path, small_set: Dataset, tmp_path: Path, words: tuple[str, ...], part: str
) -> None:
    images = ("--images", small_set.split("train")[0].image.parent) if words else ()

    built = build(tiny_checkpoint, tmp_path, *images, *words)

    assert built.exit_code == 2
    assert part in built.output
    assert "Traceback" not in built.output
    assert not list(tmp_path.glob("store/*"))


def test_a_checkpoint_that_is_none_is_refused(small_set: Dataset, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"not a pickle")

    built = build(broken, tmp_path, "--images", small_set.split("train")[0].image.parent)

    assert built.exit_code == 2
    assert "not a readable torch checkpoint" in built.output


@pytest.mark.skipif(not WEIGHTS.exists(), reason=f"no real weights in {WEIGHTS}")
@pytest.mark.parametrize(
    ("name", "part"), [("yolov8n-seg.pt", "segmentation"), ("yolov5n.pt", "legacy YOLOv5")]
)
def test_the_wrong_kind_of_real_weights_is_refused(name: str, part: str, tmp_path: Path) -> None:
    built = build(WEIGHTS / name, tmp_path, "--images", data_root() / "photos")

    assert built.exit_code == 2
    assert part in built.output
    assert not list(tmp_path.glob("store/*"))


def test_a_detector_of_another_head_is_told_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "plain.pt"
    torch.save({"model": torch.nn.Linear(1, 1), "train_args": {}}, path)

    built = build(path, tmp_path, "--images", tmp_path)

    assert built.exit_code == 2


@pytest.mark.parametrize("command", ["build", "sign", "verify"])
def test_help_teaches_with_an_example(command: str) -> None:
    shown = call(command, "--help")

    assert shown.exit_code == 0
    assert f"understudy release {command}" in " ".join(shown.output.split())


def test_the_tiny_model_finds_something() -> None:
    with torch.no_grad():
        scores = tiny_model()(torch.rand(2, 3, SIDE, SIDE))[0][:, 4:]

    assert 0.01 < float((scores > 0.25).float().mean()) < 0.9
