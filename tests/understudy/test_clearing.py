"""A new demo removes what the one before left, and nothing else."""

import json
import zipfile
from pathlib import Path

import pytest
from commands import Run

from distill_jobs.errors import JobError
from understudy.demo.clearing import clear, released_by


def _archive(store: Path, name: str, job: str) -> Path:
    store.mkdir(exist_ok=True)
    path = store / f"{name}.mar"
    with zipfile.ZipFile(path, "w") as parts:
        parts.writestr("card.json", json.dumps({"lineage": {"job": job}}))
    path.with_name(f"{path.name}.sig").write_text("signed")
    return path


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(JobError, match="holds something else than a demo"):
        clear(tmp_path, tmp_path / "job")

    assert (tmp_path / "thesis.tex").exists()


def test_a_demo_that_was_killed_early_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    (folder / "job").mkdir(parents=True)
    (folder / "job" / "job.yaml").write_text("name: demo")
    (folder / "report.json").write_text("{}")

    clear(folder, folder / "job")

    assert list(folder.iterdir()) == []


def test_archives_of_a_demo_whose_folder_is_gone_are_found_by_their_card(tmp_path: Path) -> None:
    store = tmp_path / "store"
    ours, other = _archive(store, "demo-student-1.0", "demo"), _archive(store, "bccd-1.0", "bccd")
    (store / "junk.mar").write_bytes(b"no archive")

    clear(tmp_path / "demo", tmp_path / "demo" / "job", released_by("demo", store))

    assert not ours.exists()
    assert other.exists()
    assert sorted(path.name for path in store.iterdir()) == [
        "bccd-1.0.mar",
        "bccd-1.0.mar.sig",
        "junk.mar",
    ]


def test_a_job_that_archives_nothing_is_refused_before_anything_is_removed(
    understudy: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "demo"
    (folder / "job").mkdir(parents=True)
    (folder / "job" / "job.yaml").write_text("name: demo")
    job = tmp_path / "job.yaml"
    job.write_text(
        "name: alone\nimage_size: 96\ndata: {scenes: {train: 8, val: 4, test: 4}}\n"
        "teacher: {architecture: yolov8n, train: {epochs: 1}}\nlicences: {data: CC0-1.0}\n"
    )

    told = understudy("demo", "--job", job, "--output", folder, code=1).stdout

    assert "the demo serves two archives" in " ".join(told.split())
    assert (folder / "job" / "job.yaml").exists()
