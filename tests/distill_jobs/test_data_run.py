import json
import shutil
from pathlib import Path

import pytest
import yaml

from distill_jobs.checkpoints import class_names, load_detector
from distill_jobs.data import scenes
from distill_jobs.progress import Silent
from distill_jobs.run import run_job

pytestmark = pytest.mark.slow

DATA = """\
path: pool/data.yaml
  classes: {vehicle: [car, bicycle], person: person}
  split:
    by: camera
    pattern: '(?P<camera>cam[0-9])'
    fractions: {train: 0.5, val: 0.25, test: 0.25}
  unlabelled: more
"""


def write_pool(root: Path) -> None:
    """Draw four cameras of eight scenes, one of them cut short, and four without labels."""
    drawn = list(scenes.write_split(root / "drawn", "train", 36, 96, 0))
    for place, image in enumerate(drawn[:32]):
        for file, kind in ((image, "images"), (_labels(image), "labels")):
            target = root / "pool" / kind / f"cam{place // 8}"
            target.mkdir(parents=True, exist_ok=True)
            shutil.move(file, target)
    (root / "more").mkdir()
    for image in drawn[32:]:
        shutil.move(image, root / "more")
    broken = root / "pool/images/cam1" / drawn[9].name
    broken.write_bytes(broken.read_bytes()[:500])
    names = list(scenes.CLASS_NAMES)
    (root / "pool/data.yaml").write_text(yaml.safe_dump({"train": "images", "names": names}))


def _labels(image: Path) -> Path:
    return image.parents[2] / "labels" / image.parent.name / f"{image.stem}.txt"


def test_a_pool_is_mapped_split_mended_and_trained_on(write_job, tmp_path):
    write_pool(tmp_path)
    job = write_job(
        ("scenes: {train: 16, val: 8, test: 8, size: 96}\n", DATA),
        ("epochs: 2", "epochs: 1"),
        ("warmup_epochs: 1, ramp_epochs: 0", "warmup_epochs: 0, ramp_epochs: 0"),
    )

    result = run_job(job, tmp_path / "run", reporter=Silent(), signing_key=tmp_path / "key.pem")

    assert result.student is not None
    assert class_names(load_detector(result.student.checkpoint)) == ("vehicle", "person")
    lock = json.loads((tmp_path / "run/data.lock").read_text())
    test_camera = lock["split"]["groups"]["test"]
    assert len(test_camera) == 1
    # Measured on what is sound of the held-out camera alone.
    assert result.student.images == (7 if test_camera == ["cam1"] else 8)
    assert [Path(one["file"]).parent.name for one in lock["skipped"]] == ["cam1"]
    assert len((tmp_path / "run/data/unlabelled.txt").read_text().splitlines()) == 4
