"""A job and a harvest of four frames to distil again with."""

import numpy as np
import pytest
from harvests import write_frame
from redistillations import random_picture


@pytest.fixture
def job_file(write_job, data_set):
    generator = np.random.default_rng(0)
    for image in (data_set.parent / "images").rglob("*.png"):
        random_picture(image, generator)
    return write_job(
        ("scenes: {train: 16, val: 8, test: 8, size: 96}", f"path: {data_set}"),
        ("licences:", "archive: {teacher_name: big, student_name: small}\nlicences:"),
    )


@pytest.fixture
def harvest(tmp_path):
    generator = np.random.default_rng(1)
    for number in range(4):
        image = random_picture(tmp_path / f"{number}.png", generator)
        labels = "1 0.5 0.5 0.2 0.2\n"
        write_frame(tmp_path / "harvest", image, ("cat", "dog"), labels=labels, f1=0.1 * number)
    return tmp_path / "harvest"
