from epochs import Noted, epoch, frame

from distill_jobs.progress import Silent
from distill_jobs.tracking.pictures import PictureFolder, picture_of
from distill_jobs.tracking.tracking import Tracking, flat


class Full:
    def __init__(self):
        self.told = 0

    def epoch_ended(self, seen):
        self.told += 1
        seen.fixed_frames()
        raise OSError(28, "No space left on device")


class Watches:
    def __init__(self):
        self.epochs = []

    def epoch_ended(self, seen):
        seen.fixed_frames()
        self.epochs.append(seen.epoch)


def test_a_listener_that_fails_is_named_once_and_costs_the_others_nothing():
    full, watches, reporter = Full(), Watches(), Noted()
    tracking = Tracking({"TensorBoard": full, "watch": watches}, reporter)

    tracking.epoch_ended(epoch(0))
    tracking.epoch_ended(epoch(1))

    assert full.told == 1
    assert watches.epochs == [0, 1]
    assert reporter.notes == [
        "TensorBoard is not written any more: [Errno 28] No space left on device"
    ]


def test_the_models_run_on_the_fixed_frames_once_for_all_listeners():
    looks = []
    tracking = Tracking({"one": Watches(), "other": Watches()}, Silent())

    tracking.epoch_ended(epoch(0, looks=looks))

    assert looks == [0]


def test_pictures_show_what_a_threshold_would_let_through(tmp_path):
    PictureFolder(tmp_path, ("cell",)).epoch_ended(epoch(2))
    alone = picture_of(frame(with_teacher=False), ("cell",))

    assert [one.name for one in tmp_path.iterdir()] == ["0.jpg"]
    assert alone.shape == (720 + 44, 720, 3)
    # The box of score 0.06 at the upper left is not drawn: 5 of 96 pixels are 38 of 720.
    assert (alone[44 + 37 : 44 + 40, 10:30] == 128).all()


def test_pictures_wait_for_the_last_epoch(tmp_path):
    PictureFolder(tmp_path, ("cell",)).epoch_ended(epoch(0))

    assert list(tmp_path.iterdir()) == []


def test_nested_settings_become_dotted_keys():
    assert flat({"training": {"epochs": 3, "x": {"y": 1}}, "seed": 0}) == {
        "training.epochs": 3,
        "training.x.y": 1,
        "seed": 0,
    }
