"""A job's two archives reach the model store together, or not at all."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from distill_jobs.errors import GateRefused, ReleaseExists
from distill_jobs.progress import Silent
from distill_jobs.results import read_model
from distill_jobs.run import resume, run_job
from distill_jobs.run_folder import RunFolder

pytestmark = pytest.mark.slow

KEPT = (
    "licences:",
    (
        "archive: {teacher_name: big, student_name: small}\n"
        "exports: [onnxruntime-fp32]\n"
        "gate: {min_retention_map50: 0.0, resamples: 200}\n"
        "licences:"
    ),
)
# No file is that small.
REFUSED = KEPT[0], KEPT[1].replace("200}", "200, max_file_mb: 0.001}")
# The demo's teacher finds something, so its golden frames prove something.
LEAD = Path(__file__).parents[2] / "distill_jobs" / "demo" / "teacher.pt"
TRAINED = (
    "  architecture: yolov8n\n  width: 0.125\n  train: {epochs: 1, batch: 8, optimizer: AdamW, "
    "lr0: 0.002, warmup_epochs: 0}\nstudent:\n  architecture: yolov5n\n  width: 0.125\n",
    f"  weights: {LEAD}\nstudent:\n  weights: {LEAD}\n",
)
FEWER = ("{train: 16, val: 8, test: 8, size: 96}", "{train: 8, val: 4, test: 4, size: 96}")
UNTAUGHT = ("lr0: 0.002, warmup_epochs: 0}\ndist", "lr0: 0.00001, warmup_epochs: 0}\ndist")


def stored(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_refused_student_leaves_the_store_empty_and_the_names_free(
    write_job: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(GateRefused) as refused:
        run_job(
            write_job(FEWER, TRAINED, UNTAUGHT, REFUSED),
            tmp_path / "run",
            reporter=Silent(),
            model_store=tmp_path / "store",
            signing_key=tmp_path / "key.pem",
        )

    assert [one.rule for one in refused.value.failures] == ["max_file_mb"]
    assert stored(tmp_path / "store") == []
    folder = RunFolder(tmp_path / "run")
    teacher = read_model(folder, "teacher")
    assert teacher is not None
    assert (teacher.archive, teacher.archive_bytes) == (None, 0)
    report = json.loads((folder.path / "release" / "student" / "report.json").read_text())
    assert [one["rule"] for one in report["refused"]] == ["max_file_mb"]
    assert (folder.path / "release" / "student" / "report.html").exists()

    folder.job_file.write_bytes(write_job(FEWER, TRAINED, UNTAUGHT, KEPT).read_bytes())
    _undo(folder, "release-teacher")
    result = resume(folder.path, reporter=Silent())

    suffixes = (".mar", ".mar.sig", ".report.html", ".training.html")
    names = [f"{name}{suffix}" for name in ("big-1.0", "small-1.0") for suffix in suffixes]
    assert stored(tmp_path / "store") == names
    assert result.teacher.archive == tmp_path / "store" / "big-1.0.mar"
    assert result.teacher.archive_bytes == result.teacher.archive.stat().st_size
    report = json.loads((folder.path / "release" / "teacher" / "report.json").read_text())
    assert report["archive"] == str(result.teacher.archive)

    _undo(folder, "release-student")
    _remove(tmp_path / "store", "big-1.0.mar", "big-1.0.mar.sig")  # killed between the two
    resume(folder.path, reporter=Silent())

    assert stored(tmp_path / "store") == names

    _undo(folder, "release-student")
    _remove(tmp_path / "store", *names)
    with zipfile.ZipFile(tmp_path / "store" / "big-1.0.mar", "w") as parts:
        parts.writestr("card.json", "{}")  # somebody else was faster
    with pytest.raises(ReleaseExists, match=r"big-1\.0\.mar"):
        resume(folder.path, reporter=Silent())

    assert stored(tmp_path / "store") == ["big-1.0.mar"]


def _undo(folder: RunFolder, step: str) -> None:
    (folder.path / "steps" / f"{step}.json").unlink()


def _remove(store: Path, *names: str) -> None:
    for name in names:
        (store / name).unlink()
