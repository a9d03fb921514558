"""What becomes of a run's teachers when it is distilled again."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from harvests import write_frame
from redistillations import Runner, do, random_picture, wish

from distill_jobs.errors import HeadsDiffer, JobError
from distill_jobs.progress import Silent
from distill_jobs.redistil.origin import read_origin
from distill_jobs.run_folder import RunFolder
from distill_jobs.steps import teacher_step
from distill_jobs.taking_in import data_step

# The demo's teacher knows car, person...
LEAD = Path(__file__).parents[3] / "distill_jobs" / "demo" / "teacher.pt"
TRAINED = (
    "  architecture: yolov8n\n  width: 0.125\n  train: {epochs: 1, batch: 8, optimizer: AdamW, "
    "lr0: 0.002, warmup_epochs: 0}\nstudent:"
)


def with_lead(job_file, classes):
    text = job_file.read_text()
    assert TRAINED in text
    lead = f"  weights: {LEAD}\n  classes: {classes}\nstudent:"
    job_file.write_text(text.replace(TRAINED, lead))
    return job_file


def taught(job_file, path):
    """Do a run's first two steps."""
    run = RunFolder.create(path, job_file, {})
    data_step(run, run.job(), Silent())
    teacher_step(run, run.job(), Silent())
    return run


class Teaching(Runner):
    """Runs an attempt as far as its teacher."""

    def run(self, attempt):
        taught(attempt.job_file, attempt.run_dir)


@pytest.mark.parametrize(
    "lead",
    [
        (["cat", "dog"], "{car: cat, person: dog}"),
        (["car", "person"], "{car: person, person: car}"),
    ],
    ids=["renamed", "exchanged"],
)
def test_a_runs_teacher_is_mapped_to_the_data_sets_classes_once(
    job_file, data_set, harvest, tmp_path, lead
):
    names, classes = lead
    for description in (data_set, *harvest.glob("*/data.yaml")):
        content = yaml.safe_load(description.read_text())
        description.write_text(yaml.safe_dump({**content, "names": names}))
    run = taught(with_lead(job_file, classes), tmp_path / "run")

    wanted = wish(job_file, harvest, tmp_path, origin=read_origin(run.path))
    attempt = do(wanted, Teaching())

    again = RunFolder.open(attempt.run_dir)
    assert again.checkpoint("teacher").read_bytes() == run.checkpoint("teacher").read_bytes()


def test_a_lead_that_does_not_fit_ends_the_attempt(job_file, harvest, tmp_path):
    """It would not fit the next time either: nothing that goes on with it can mend it."""
    wanted = wish(with_lead(job_file, "{car: cat}"), harvest, tmp_path)

    with pytest.raises(HeadsDiffer, match="does not know 'dog'"):
        do(wanted, Teaching())
    generator = np.random.default_rng(9)
    for number in range(2):
        image = random_picture(tmp_path / f"new{number}.png", generator)
        write_frame(harvest, image, ("cat", "dog"))
    runner = Runner()
    do(wanted, runner)

    assert runner.asked == ["run"]


def test_stored_detections_are_refused_before_the_harvest_is_used_up(job_file, tmp_path):
    told = "further_teachers: [{detections: found.jsonl}]\nstudent:"
    job_file.write_text(job_file.read_text().replace("student:", told))
    (tmp_path / "found.jsonl").write_text("")

    with pytest.raises(JobError, match=r"further_teachers.0.detections: .*found.jsonl holds no"):
        read_origin(job_file)
