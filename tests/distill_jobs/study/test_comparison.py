"""What runs' jobs differ in, told without a word of what is the same or makes no student."""

import re

import pytest

from distill_jobs.progress import Silent
from distill_jobs.run_folder import RunFolder
from distill_jobs.study.comparison import compare_runs
from distill_jobs.study.comparison_page import write_comparison

DISTILLATION = "distillation:\n  schedule: {warmup_epochs: 1, ramp_epochs: 0, decay: none}\n"
LICENCES = "licences: {data: CC0-1.0}\n"


@pytest.fixture
def settings(write_job, tmp_path):
    """Compare the tiny job with a changed one."""

    def settings(*changes):
        paths = [tmp_path / "one", tmp_path / "other"]
        for path, changed in zip(paths, ((), changes), strict=True):
            RunFolder.create(path, write_job(*changed), {})
        return compare_runs(paths, None, Silent()).settings

    return settings


def test_what_differs_is_told_a_default_too(settings):
    changed = ("epochs: 2, batch: 8", "epochs: 2, batch: 8, momentum: 0.5")

    assert list(settings(changed)) == ["training.momentum"]


def test_of_a_section_that_one_job_lacks_only_what_is_no_default_is_told(settings):
    assert settings((DISTILLATION, "")) == {
        "distillation": ("given", "-"),
        "distillation.schedule.ramp_epochs": ("0", "-"),
        "distillation.schedule.decay": ("none", "-"),
    }


def test_what_makes_no_student_is_not_told(settings):
    gate = f"gate: {{min_retention_map50: 0.5}}\n{LICENCES}"

    assert settings((LICENCES, gate), ("name: tiny", "name: other")) == {}


def test_the_page_draws_quality_first_then_alpha_then_losses(write_job, tmp_path):
    heads = "epoch,val/box_loss,train/box_loss,metrics/mAP50(B),metrics/mAP50-95(B),teacher_weight"
    for name in ("one", "other"):
        training = RunFolder.create(tmp_path / name, write_job(), {}).training("student")
        training.mkdir(parents=True)
        (training / "curves.csv").write_text(f"{heads}\n1,1,2,0.3,0.2,1\n")
    found = compare_runs([tmp_path / "one", tmp_path / "other"], None, Silent())

    page = write_comparison(found, tmp_path / "page.html").read_text()

    assert re.findall("<h3>(.*?)</h3>", page) == [
        "mAP50-95 on validation",
        "mAP50 on validation",
        "alpha, the teacher&#39;s weight",
        "train/box loss",
        "val/box loss",
    ]
