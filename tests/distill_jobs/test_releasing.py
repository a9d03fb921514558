"""What is refused before a training, since the gate would refuse it after."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from distill_jobs.data.dataset import Dataset
from distill_jobs.errors import ReleaseInvalid
from distill_jobs.job import Job
from distill_jobs.progress import Silent
from distill_jobs.releasing import refuse_unfit
from distill_jobs.run import run_job

ARCHIVE = ("licences:", "archive: {teacher_name: big, student_name: small}\nlicences:")
ACCEPTED = ("licences:", "gate: {accept_val: true}\nlicences:")


@pytest.fixture
def without_test(data_set: Path) -> Path:
    content = yaml.safe_load(data_set.read_text())
    del content["test"]
    data_set.write_text(yaml.safe_dump(content))
    return data_set


def from_disk(data: Path) -> tuple[str, str]:
    return "scenes: {train: 16, val: 8, test: 8, size: 96}", f"path: {data}"


def test_the_split_that_chooses_the_checkpoint_does_not_judge_it(
    write_job: Callable[..., Path], without_test: Path, tmp_path: Path
) -> None:
    job = write_job(from_disk(without_test), ARCHIVE)

    with pytest.raises(ReleaseInvalid, match=r"gate\.accept_val: .*has no `test:` split"):
        run_job(
            job,
            tmp_path / "run",
            reporter=Silent(),
            model_store=tmp_path / "store",
            signing_key=tmp_path / "key.pem",
        )

    assert not list((tmp_path / "run").rglob("*.pt"))
    assert not list((tmp_path / "store").glob("*.mar"))


def test_it_may_where_the_job_says_so_or_releases_nothing(
    write_job: Callable[..., Path], without_test: Path, data_set: Path
) -> None:
    dataset = Dataset.load(without_test)

    refuse_unfit(Job.load(write_job(from_disk(without_test), ARCHIVE, ACCEPTED)), dataset)
    refuse_unfit(Job.load(write_job(from_disk(without_test))), dataset)

    assert dataset.held_out_split == "val"


def test_paths_of_the_gate_start_at_the_job_file(
    write_job: Callable[..., Path], tmp_path: Path
) -> None:
    limits = ("licences:", "gate: {frames: yard, live: store/small-1.0.mar}\nlicences:")

    gate = Job.load(write_job(limits)).gate

    assert (gate.frames, gate.live) == (tmp_path / "yard", tmp_path / "store/small-1.0.mar")
    assert gate.confidence is None
