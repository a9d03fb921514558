import shlex

import pytest
from redistillations import names_in, say
from typer.testing import CliRunner

from distill_jobs.cli import job_app
from distill_jobs.redistil.attempt import Attempt


def call(*arguments):
    return CliRunner().invoke(job_app, [str(one) for one in arguments])


def test_the_command_that_goes_on_is_the_one_that_was_given(job_file, harvest, tmp_path):
    folder = tmp_path / "an attempt's"
    options = ["--folder", folder, "--share", 0.8, "--min-frames", 2, "--model-store", "store"]
    options += ["--signing-key", tmp_path / "key.pem", "--version", "7.0", "--review"]

    first = call("redistil", job_file, "--harvest", harvest, *options)

    assert first.exit_code == 0, first.output
    (told,) = [line for line in first.output.splitlines() if "go on with: " in line]
    program, group, *again = shlex.split(told.partition("go on with: ")[2])
    assert (program, group) == ("understudy", "job")
    assert again[:2] == ["redistil", str(job_file)]
    assert {*map(str, options)} <= set(again)
    attempt = Attempt.latest(folder)
    assert attempt is not None
    say(attempt, **dict.fromkeys(names_in(attempt.review_list), "reject"))
    second = call(*again)
    assert second.exit_code == 0, second.output
    assert attempt.state == "ended"


def test_a_schedule_carries_the_review(job_file):
    printed = call("redistil", "job.yaml", "--harvest", "/h", "--schedule", "0 3 * * 0", "--review")

    assert printed.exit_code == 0
    assert "- --review\n" in printed.output


@pytest.mark.parametrize(
    "option", ["--folder=/f", "--model-store=/m", "--signing-key=/k.pem", "--version=9.9"]
)
def test_a_schedule_refuses_what_its_pods_set_themselves(option):
    refused = call("redistil", "job.yaml", "--harvest", "/h", "--schedule", "0 3 * * 0", option)

    assert refused.exit_code == 2
    assert f"{option.partition('=')[0]}: means nothing with --schedule" in refused.stderr
