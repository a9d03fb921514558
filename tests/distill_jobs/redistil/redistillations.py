"""Attempts at a redistillation with a runner that stands in for hours of training."""

import cv2
import numpy as np

from distill_jobs.job import Job
from distill_jobs.progress import Silent
from distill_jobs.redistil.choice import Limits
from distill_jobs.redistil.origin import Origin
from distill_jobs.redistil.redistil import Wish, redistil


class Runner:
    """Notes what it was asked to run; may fail, or die as a killed process does."""

    def __init__(self, error=None):
        self.asked = []
        self.error = error

    def run(self, attempt):
        self.asked.append("run")
        attempt.run_dir.mkdir()
        (attempt.run_dir / "run.json").write_text("{}")
        self._fail()

    def resume(self, attempt):
        self.asked.append("resume")
        self._fail()

    def _fail(self):
        if self.error is not None:
            raise self.error


class Heard(Silent):
    """Remembers the notes; may do something when one is told."""

    def __init__(self, then=lambda: None):
        self.notes = []
        self.then = then

    def note(self, text):
        self.notes.append(text)
        self.then()


def wish(job_file, harvest, tmp_path, **changes):
    given = {
        "origin": Origin(Job.load(job_file)) if job_file else None,
        "harvest": harvest,
        "root": tmp_path / "again",
        "model_store": tmp_path / "store",
        "limits": Limits(max_share=0.9),
        "min_frames": 2,
    }
    return Wish(**{**given, **changes})


def do(wanted, runner=None, reporter=None):
    runner = runner or Runner()
    return redistil(wanted, runner.run, runner.resume, reporter or Silent())


def random_picture(path, generator):
    patches = generator.integers(0, 255, (8, 8, 3), np.uint8)
    assert cv2.imwrite(str(path), cv2.resize(patches, (60, 40), interpolation=cv2.INTER_NEAREST))
    return path


def names_in(review_list):
    """Return the frames' names in the order of the list."""
    return [line.split(",")[1] for line in review_list.read_text().splitlines()[1:]]


def say(attempt, **verdicts_by_name):
    """Write verdicts into a review's list, as a person does; by frame name."""
    head, *lines = attempt.review_list.read_text().splitlines()
    edited = []
    for line in lines:
        old, name, rest = line.split(",", 2)
        edited.append(",".join((verdicts_by_name.get(name, old), name, rest)))
    attempt.review_list.write_text("\n".join([head, *edited]) + "\n")


def trained_on(attempt):
    """Return the stems of the frames that an attempt's job trains on, labelled and not."""
    job = Job.load(attempt.job_file)
    labelled = {one.stem.partition("-")[2] for one in attempt.path.glob("data/accepted/images/*")}
    listings = [one for one in job.data.unlabelled if one.name == "harvested.txt"]
    lines = [line for one in listings for line in one.read_text().splitlines()]
    return labelled, {line.rpartition("/")[2].rpartition(".")[0] for line in lines}
