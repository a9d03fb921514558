"""Which images make INT8: of the training split alone, from everywhere in it."""

from pathlib import Path

import pytest
from tiny_networks import CLASSES

from distill_jobs.data.dataset import Sample
from distill_jobs.errors import ReleaseInvalid
from distill_jobs.release.int8_images import int8_images


def samples(split: str, count: int, *, labelled: bool = True) -> tuple[Sample, ...]:
    return tuple(
        Sample(Path(split) / f"{place:03}.png", None, len(CLASSES), labelled=labelled)
        for place in range(count)
    )


def test_calibration_comes_from_everywhere_in_the_training_split() -> None:
    train, validation = samples("train", 256), samples("val", 10)

    images = int8_images(train, validation)

    assert [int(image.stem) for image in images.calibration] == list(range(0, 256, 4))
    assert images.choosing == validation


def test_without_validation_training_images_that_do_not_calibrate_choose() -> None:
    train = samples("train", 400)

    images = int8_images(train, ())

    assert len(images.calibration) == 64
    assert len(images.choosing) == 100
    assert not {one.image for one in images.choosing} & set(images.calibration)
    assert images.choosing[-1].image > Path("train/390.png")


def test_of_few_training_images_half_choose() -> None:
    images = int8_images(samples("train", 8), ())

    assert (len(images.calibration), len(images.choosing)) == (4, 4)
    assert int8_images(samples("train", 1), ()).choosing == ()


def test_images_that_nobody_labelled_calibrate_but_do_not_choose() -> None:
    images = int8_images(samples("train", 200, labelled=False), ())

    assert len(images.calibration) == 64
    assert images.choosing == ()


def test_what_judges_does_not_choose(request_for, small_set) -> None:
    held_out = small_set.split("val")[:6]

    with pytest.raises(ReleaseInvalid, match="choosing: 1 of its images are held-out") as refused:
        request_for(samples=held_out, choosing=held_out[:1])

    assert refused.value.field == "choosing"
