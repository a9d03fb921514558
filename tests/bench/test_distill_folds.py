"""Every image is held out once, twins stay together, and nothing held out chooses anything."""

from pathlib import Path

import pytest

from bench.distill.folds import INNER_SHARE, Fold, folds, stage
from distill_jobs.data.dataset import Dataset

_NAMES = [f"BloodImage_{number:05d}" for number in range(30, 75)]
_TWINS = {"BloodImage_00037", "BloodImage_00038"}


@pytest.fixture
def cells(tmp_path: Path) -> Dataset:
    """A data set of 45 empty images with labels of three classes, in two splits."""
    for number, stem in enumerate(_NAMES):
        split = "train" if number % 2 else "test"
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / split / f"{stem}.jpg").write_bytes(b"")
        ids = [0] * (number % 7 + 1) + [1] + [2] * (number % 3)
        rows = "".join(f"{one} 0.5 0.5 0.1 0.1\n" for one in ids)
        (tmp_path / "labels" / split / f"{stem}.txt").write_text(rows)
    (tmp_path / "data.yaml").write_text(
        "train: images/train\ntest: images/test\nnames: {0: RBC, 1: WBC, 2: Platelets}\n"
    )
    return Dataset.load(tmp_path / "data.yaml")


def test_each_image_is_held_out_once(cells: Dataset) -> None:
    held_out = [name for fold in folds(cells) for name in _stems(fold)["held_out"]]

    assert sorted(held_out) == _NAMES


def test_parts_of_a_fold_are_disjoint_and_whole(cells: Dataset) -> None:
    for fold in folds(cells):
        parts = _stems(fold)

        assert sorted(parts["train"] + parts["inner"] + parts["held_out"]) == _NAMES
        assert len(parts["inner"]) == pytest.approx(30 / INNER_SHARE, abs=1)


def test_twins_are_on_the_same_side_of_every_border(cells: Dataset) -> None:
    for fold in folds(cells):
        sides = [name for name, stems in _stems(fold).items() if _TWINS & set(stems)]

        assert len(sides) == 1


def test_the_same_images_give_the_same_folds_whatever_split_they_lay_in(cells: Dataset) -> None:
    swapped = Dataset(
        cells.path,
        cells.class_names,
        {"train": cells.splits["test"], "test": cells.splits["train"]},
    )

    assert [fold.digest for fold in folds(swapped)] == [fold.digest for fold in folds(cells)]


def test_a_changed_label_changes_the_fold(cells: Dataset) -> None:
    before = folds(cells)[0].digest
    labels = cells.splits["train"][0].labels
    assert labels is not None
    labels.write_text(labels.read_text().replace("0.5 0.5", "0.6 0.5"))

    assert folds(cells)[0].digest != before


def test_changed_pixels_change_the_fold(cells: Dataset) -> None:
    before = folds(cells)[0].digest
    cells.splits["train"][0].image.write_bytes(b"other pixels")

    assert folds(cells)[0].digest != before


def test_what_is_staged_is_train_and_inner_alone(cells: Dataset, tmp_path: Path) -> None:
    fold = folds(cells)[1]

    staged = stage(fold, tmp_path / "staged")

    assert {one.image.stem for one in staged.split("train")} == set(_stems(fold)["train"])
    assert {one.image.stem for one in staged.split("val")} == set(_stems(fold)["inner"])
    assert staged.split("val")[0].read_labels(10, 10)[0].size


def _stems(fold: Fold) -> dict[str, list[str]]:
    parts = {"train": fold.train, "inner": fold.inner, "held_out": fold.held_out}
    return {name: [one.image.stem for one in samples] for name, samples in parts.items()}
