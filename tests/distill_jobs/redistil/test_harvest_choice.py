import cv2
import numpy as np
import pytest
from harvests import write_frame
from redistillations import Heard, random_picture

from distill_jobs.data.intake import take_in
from distill_jobs.errors import DataSetInvalid
from distill_jobs.progress import Silent
from distill_jobs.recipe.data import Data, Split
from distill_jobs.redistil.base import held_out_cameras
from distill_jobs.redistil.choice import Limits, choose, in_turn
from distill_jobs.redistil.harvest import read_harvest

NAMES = ("cat", "dog")
ROOMY = Limits(max_share=0.9, near_bits=4)


def picture(path, seed, *, like=None, noise=0):
    """A picture of coarse random patches; `like` another one but for some noise."""
    generator = np.random.default_rng(seed)
    patches = generator.integers(0, 255, (8, 8, 3), np.uint8)
    image = cv2.resize(patches, (96, 64), interpolation=cv2.INTER_NEAREST)
    if like is not None:
        image = cv2.imread(str(like)).astype(int)
        image = np.clip(image + generator.integers(-noise, noise + 1, image.shape), 0, 255)
    assert cv2.imwrite(str(path), image.astype(np.uint8))
    return path


@pytest.fixture
def base(data_set):
    """The pieces of a data set of random patches, three images a split."""
    for number, image in enumerate(sorted((data_set.parent / "images").rglob("*.png"))):
        picture(image, number)
    return take_in(Data(path=data_set), Silent()).pieces


@pytest.fixture
def harvest(tmp_path):
    return tmp_path / "harvest"


def test_a_frame_is_read_with_its_camera_and_how_far_the_arms_agreed(harvest, tmp_path):
    name = write_frame(harvest, picture(tmp_path / "a.png", 90), NAMES, camera="gate", f1=0.25)

    (frame,) = read_harvest(harvest, NAMES)

    assert frame.name == name
    assert (frame.camera, frame.agreement_f1, frame.labelled_by) == ("gate", 0.25, "teacher")
    assert frame.labels.read_text().startswith("0 0.5")


def test_a_half_written_frame_and_one_without_answers_do_no_harm(harvest, tmp_path):
    write_frame(harvest, picture(tmp_path / "a.png", 90), NAMES)
    next(harvest.rglob("*.json")).write_text("{")
    (next(harvest.rglob("*.png")).parent / ".half.png").write_bytes(b"")

    (frame,) = read_harvest(harvest, NAMES)

    assert (frame.camera, frame.agreement_f1) == ("", 1.0)


def test_a_harvest_of_other_classes_is_passed_over_or_refused(harvest, tmp_path):
    image = picture(tmp_path / "a.png", 90)
    write_frame(harvest, image, ("person",), route="street-11111111")

    with pytest.raises(DataSetInvalid, match=r"other classes than the job's \(cat, dog\)"):
        read_harvest(harvest, NAMES)
    write_frame(harvest, image, NAMES)

    assert [one.class_names for one in read_harvest(harvest, NAMES)] == [NAMES]


def test_an_empty_folder_is_no_harvest(tmp_path):
    with pytest.raises(DataSetInvalid, match="holds no harvest"):
        read_harvest(tmp_path, NAMES)


def test_what_measures_or_repeats_is_left_out_and_counted(base, harvest, tmp_path):
    images = {
        split: next(piece.image for piece in base if piece.split == split)
        for split in ("train", "val", "test")
    }
    fresh = picture(tmp_path / "fresh.png", 90)
    write_frame(harvest, fresh, NAMES, f1=0.1)
    write_frame(harvest, fresh, NAMES)  # the very same picture again
    write_frame(harvest, picture(tmp_path / "b.png", 1, like=fresh, noise=3), NAMES)
    write_frame(harvest, images["test"], NAMES)
    write_frame(harvest, picture(tmp_path / "c.png", 2, like=images["val"], noise=3), NAMES)
    write_frame(harvest, picture(tmp_path / "d.png", 3, like=images["train"], noise=3), NAMES)
    broken = tmp_path / "e.png"
    broken.write_bytes(b"not an image")
    write_frame(harvest, broken, NAMES)

    choice = choose(read_harvest(harvest, NAMES), base, ROOMY)

    assert len(choice.taken) == 1
    assert choice.taken[0].agreement_f1 == 0.1
    assert choice.left_out == {
        "the same picture as one in the harvest": 1,
        "the same picture as one in test": 1,
        "almost a picture of val or test": 1,
        "almost a picture that is trained on": 2,
        "not an image that decodes": 1,
    }


def test_the_share_is_capped_and_no_camera_fills_it_alone(base, harvest, tmp_path):
    for number in range(6):
        image = picture(tmp_path / f"{number}.png", 100 + number)
        write_frame(harvest, image, NAMES, camera="busy", f1=0.1 + 0.01 * number)
    write_frame(harvest, picture(tmp_path / "q.png", 200), NAMES, camera="quiet", f1=0.4)

    # Three train images: at a share of a half, three frames fit in.
    choice = choose(read_harvest(harvest, NAMES), base, Limits(max_share=0.5))

    assert [one.camera for one in choice.taken] == ["busy", "quiet", "busy"]
    assert [one.agreement_f1 for one in choice.taken] == [0.1, 0.4, 0.11]
    assert choice.left_out == {"above the share of 50%": 4}


def test_a_camera_that_is_held_out_is_not_trained_on(harvest, tmp_path):
    for number in range(12):
        for kind in ("images", "labels"):
            (tmp_path / f"pool/{kind}/cam{number % 4}").mkdir(parents=True, exist_ok=True)
        name = f"cam{number % 4}/{number}"
        random_picture(tmp_path / f"pool/images/{name}.png", np.random.default_rng(number))
        (tmp_path / f"pool/labels/{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "pool/data.yaml").write_text("{train: images, names: [cat, dog]}")
    rule = {"by": "camera", "pattern": "(?P<camera>cam[0-9])"}
    data = Data.model_validate({"path": str(tmp_path / "pool/data.yaml"), "split": rule})
    intake = take_in(data, Silent())
    for number, camera in enumerate([*intake.groups["test"], *intake.groups["train"], "yard"]):
        write_frame(harvest, picture(tmp_path / f"{number}.png", 90 + number), NAMES, camera=camera)
    frames, heard = read_harvest(harvest, NAMES), Heard()

    held_out = held_out_cameras(data, intake, frames, heard)
    choice = choose(frames, intake.pieces, ROOMY, held_out_cameras=held_out)

    assert heard.notes == []
    assert choice.left_out == {"of a camera that is held out": 1}
    assert {one.camera for one in choice.taken} == {*intake.groups["train"], "yard"}
    by_time = data.model_copy(update={"split": Split(by="time", pattern="(?P<time>[0-9]+)")})
    assert not held_out_cameras(by_time, intake, frames, heard)
    assert "the data is split by time, and harvested frames are of another" in heard.notes.pop()
    strangers = [one for one in frames if one.camera == "yard"]
    held_out_cameras(data, intake, strangers, heard)
    assert "no camera of the harvest has a name that data.split finds" in heard.notes[0]


def test_cameras_take_turns_the_worst_agreement_first(harvest, tmp_path):
    image = picture(tmp_path / "a.png", 90)
    for camera, f1 in (("a", 0.3), ("a", 0.1), ("b", 0.2)):
        write_frame(harvest, image, NAMES, camera=camera, f1=f1)

    turns = in_turn(read_harvest(harvest, NAMES))

    assert [(one.camera, one.agreement_f1) for one in turns] == [("a", 0.1), ("b", 0.2), ("a", 0.3)]


@pytest.mark.parametrize(("share", "train", "most"), [(0.3, 70, 30), (0.5, 3, 3), (0.9, 1, 9)])
def test_the_share_is_of_all_that_is_trained_on(share, train, most):
    assert Limits(max_share=share).most(train)[0] == most
