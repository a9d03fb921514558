"""With a quarter of the labels: what each arm is given of the other images."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.distill.child import bccd_folds
from bench.distill.few_arms import Rest
from bench.distill.few_labels import few_labelled
from bench.distill.folds import Fold, quarter, stage
from distill_jobs.data.dataset import Sample
from distill_jobs.environment import data_root, offline

WEIGHTS = data_root() / "weights"
pytestmark = pytest.mark.skipif(not WEIGHTS.exists(), reason="UNDERSTUDY_DATA is absent")


@pytest.fixture(scope="module")
def fold() -> Fold:
    """The first fold of BCCD."""
    return bccd_folds()[0]


def test_a_quarter_is_the_same_each_time_and_has_its_share_of_every_class(fold: Fold) -> None:
    kept = quarter(fold)

    assert kept == quarter(bccd_folds()[0])
    assert len(kept) == pytest.approx(len(fold.train) / 4, abs=1)
    assert set(kept) < set(fold.train)
    for class_id in range(len(fold.class_names)):
        share = _objects(kept, class_id) / _objects(fold.train, class_id)
        assert share == pytest.approx(0.25, abs=0.08)


def test_what_has_no_labels_is_staged_as_such(fold: Fold, tmp_path: Path) -> None:
    few = few_labelled(fold, Rest.IMAGES, teacher=None, side_px=320, folder=tmp_path / "told")

    staged = stage(few, tmp_path / "data")

    labelled = {one.image.name for one in staged.split("train") if one.labelled}
    assert labelled == {one.image.name for one in quarter(fold)}
    assert len(staged.split("train")) == len(fold.train)
    assert all(one.labelled for one in staged.split("val"))
    bare = [one for one in staged.split("train") if not one.labelled]
    assert not any(
        (tmp_path / "data/labels/train" / f"{one.image.stem}.txt").exists() for one in bare
    )


def test_without_a_teacher_the_rest_is_left_out(fold: Fold, tmp_path: Path) -> None:
    few = few_labelled(fold, Rest.NOTHING, teacher=None, side_px=320, folder=tmp_path)

    assert few.train == quarter(fold)
    assert (few.inner, few.held_out) == (fold.inner, fold.held_out)
    with pytest.raises(ValueError, match="no teacher"):
        few_labelled(fold, Rest.TEACHERS_BOXES, teacher=None, side_px=320, folder=tmp_path)


@pytest.mark.slow
def test_a_teachers_boxes_become_labels_of_what_has_none(fold: Fold, tmp_path: Path) -> None:
    offline()
    bus = (data_root() / "photos" / "bus.jpg").read_bytes()
    streets = [tmp_path / f"bus-{number}.jpg" for number in range(8)]
    for street in streets:
        street.write_bytes(bus)
    # COCO's classes in place of a fine-tuned teacher's three.
    samples = tuple(Sample(street, labels=None, class_count=80) for street in streets)
    coco = replace(fold, class_names=tuple(str(number) for number in range(80)), train=samples)

    few = few_labelled(
        coco,
        Rest.TEACHERS_BOXES,
        teacher=WEIGHTS / "yolov8n.pt",
        side_px=640,
        folder=tmp_path / "told",
    )

    told = [one.labels for one in few.train if one.labels is not None]
    assert (len(few.train), len(told)) == (8, 6)
    rows = [line.split() for line in told[0].read_text(encoding="utf-8").splitlines()]
    assert [row[0] for row in rows].count("0") >= 3  # people
    assert [row[0] for row in rows].count("5") == 1  # the bus
    assert all(0 <= float(one) <= 1 for row in rows for one in row[1:])


def _objects(samples: tuple[Sample, ...], class_id: int) -> int:
    texts = [one.labels.read_text(encoding="utf-8") for one in samples if one.labels]
    return sum(row.split()[0] == str(class_id) for text in texts for row in text.splitlines())
