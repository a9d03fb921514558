"""Which labels count within a range of areas: COCO's rules, by hand."""

from pathlib import Path

import numpy as np
import pytest
from test_release_evaluate import HEIGHT, WIDTH, found

from distill_jobs.data.dataset import Sample
from distill_jobs.release.average_precision import average_precisions
from distill_jobs.release.bootstrap import as_they_are
from distill_jobs.release.matches import ImageMatches, match

SMALL = (0.0, 15.0**2)
LARGE = (15.0**2, float("inf"))
LITTLE, BIG = (5, 5, 15, 15), (50, 10, 80, 40)


def sample(folder: Path, *boxes: tuple[int, ...]) -> Sample:
    rows = [
        f"0 {(x1 + x2) / 2 / WIDTH} {(y1 + y2) / 2 / HEIGHT} {(x2 - x1) / WIDTH} "
        f"{(y2 - y1) / HEIGHT}\n"
        for x1, y1, x2, y2 in boxes
    ]
    (folder / "labels.txt").write_text("".join(rows))
    return Sample(folder / "image.jpg", folder / "labels.txt", 1)


def ap50(matches: ImageMatches) -> float:
    return float(average_precisions([matches], (0,), as_they_are(1))[0, 0, 0])


def test_each_size_is_scored_by_its_own_objects(tmp_path: Path) -> None:
    answer = found((*BIG, 0.9, 0), (*LITTLE, 0.3, 0))
    labels = sample(tmp_path, LITTLE, BIG)

    small, large = match(answer, labels, SMALL), match(answer, labels, LARGE)

    assert small.scores.tolist() == pytest.approx([0.3])
    assert large.scores.tolist() == pytest.approx([0.9])
    assert ap50(small) == ap50(large) == pytest.approx(0.995)


def test_finding_an_object_of_another_size_is_no_false_alarm(tmp_path: Path) -> None:
    # A small detection on the large object alone (IoU 0.11 at most): outside, and nothing found.
    inside_big = (60, 20, 70, 30)

    large = match(found((*inside_big, 0.9, 0)), sample(tmp_path, BIG), LARGE)
    small = match(found((*inside_big, 0.9, 0)), sample(tmp_path, LITTLE), SMALL)

    assert large.scores.size == 0
    assert ap50(small) == 0
    assert small.scores.size == 1


def test_a_box_of_its_size_on_nothing_is_a_false_alarm(tmp_path: Path) -> None:
    answer = found((20, 20, 30, 30, 0.9, 0), (*LITTLE, 0.5, 0))

    small = match(answer, sample(tmp_path, LITTLE), SMALL)

    assert ap50(small) == pytest.approx(0.995 / 2)


def test_a_box_is_given_to_a_label_that_counts_first(tmp_path: Path) -> None:
    # Both labels overlap the box by more than half; the larger one more, but it does not count.
    box, large, small = (10, 10, 26, 26), (10, 10, 27, 26), (10, 10, 24, 24)
    area = (0.0, 15.0**2)

    only_small = match(found((*box, 0.9, 0)), sample(tmp_path, large, small), area)

    assert only_small.hits[0, 0]
    # IoU with the small one is 196 / 256 = 0.77: from 0.8 on only the large one is found.
    assert only_small.hits[0].sum() == 6
    assert only_small.ignored is not None
    assert only_small.ignored[0].tolist() == [False] * 6 + [True] * 4


def test_without_a_range_everything_counts(tmp_path: Path) -> None:
    every = match(found((*BIG, 0.9, 0), (*LITTLE, 0.3, 0)), sample(tmp_path, LITTLE, BIG))

    assert every.ignored is None
    assert np.asarray(every.hits).all()
    assert every.true_ids.tolist() == [0, 0]
