import json

from data_sets import describe, texture, write_image
from typer.testing import CliRunner

from distill_jobs.cli import job_app

SCENES = "scenes: {train: 16, val: 8, test: 8, size: 96}"


def check(*arguments):
    return CliRunner().invoke(job_app, ["check-data", *map(str, arguments)], env={"COLUMNS": "80"})


def test_a_data_set_is_shown_and_reported(write_job, data_set, tmp_path):
    describe(data_set, names=["cat", "dog", "car"])
    (data_set.parent / "images/train/0.png").write_bytes(b"")
    write_image(tmp_path / "more/one.png", texture(50))
    job = write_job(
        (
            SCENES,
            f"path: {data_set}\n  classes: {{pet: [cat, dog], car: car}}\n"
            f"  unlabelled: {tmp_path}/more",
        )
    )

    done = check(job, "--out", tmp_path / "out")

    assert done.exit_code == 0, done.output
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.output.splitlines()]
    assert ["train", "2", "2", "2", "-"] in rows
    assert ["unlabelled", "1", "-", "-", "-"] in rows
    assert ["pet", "2", "3", "3"] in rows
    assert "1 of 2 classes: no object in train" in done.output
    assert "skipped images/train/0.png: is empty" in done.output
    assert max(len(line) for line in done.output.splitlines() if "/" not in line) <= 80
    assert json.loads((tmp_path / "out/data.lock").read_text())["class_names"] == ["pet", "car"]
    assert json.loads((tmp_path / "out/data_faults.json").read_text())["skipped_images"] == 1


def test_what_a_run_would_refuse_is_refused_and_leaves_no_lock(write_job, data_set, tmp_path):
    source = data_set.parent / "images/train/1.png"
    (data_set.parent / "images/test/2.png").write_bytes(source.read_bytes())
    job = write_job((SCENES, f"path: {data_set}"))

    done = check(job, "--out", tmp_path / "out")

    assert done.exit_code == 2
    assert "images/train/1.png and images/test/2.png" in done.output
    assert (tmp_path / "out/data_faults.json").exists()
    assert not (tmp_path / "out/data.lock").exists()


def test_scenes_are_nothing_to_check(write_job):
    done = check(write_job())

    assert done.exit_code == 2
    assert "draws its scenes itself" in done.output
