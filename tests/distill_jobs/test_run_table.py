import io

import pytest
from rich.console import Console

from distill_jobs.run_folder import RunFolder
from distill_jobs.run_table import print_run


@pytest.mark.parametrize(
    ("kind", "steps"),
    [
        ("run", ["data", "teacher", "student", "release-teacher", "release-student"]),
        ("sweep", ["data", "teacher"]),
        ("trial", ["data", "teacher", "student"]),
    ],
)
def test_a_run_shows_the_steps_that_it_has(write_job, tmp_path, kind, steps):
    folder = RunFolder.create(tmp_path / "run", write_job(), {"kind": kind})
    with folder.step("data"):
        pass
    out = io.StringIO()

    print_run(Console(file=out, width=80), folder)

    rows = [line.split() for line in out.getvalue().splitlines()]
    assert [row[0] for row in rows if "done" in row or "do" in row] == steps
    assert (f"a {kind}" in out.getvalue()) == (kind != "run")
