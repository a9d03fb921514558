"""No reader of checkpoints runs what one of them holds, whatever it is and whenever it came."""

import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from distill_jobs.checkpoints import load_detector
from distill_jobs.environment import PROJECT_ROOT
from distill_jobs.errors import JobError, TrainingFailed
from distill_jobs.labelling.asked import Asked
from distill_jobs.recipe.compression import Prune
from distill_jobs.recipe.networks import Student, Teacher
from distill_jobs.recipe.teachers import FurtherTeacher

TRAINED = PROJECT_ROOT / "distill_jobs/demo/teacher.pt"
NAMES = ("car", "person", "bicycle", "parcel")

_unpickled: list[str] | None = None


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what Python's own unpickler looks up: torch's restricted one is not built on it."""
    if event == "pickle.find_class" and _unpickled is not None:
        _unpickled.append(".".join(map(str, arguments)))


sys.addaudithook(_listen)


@contextmanager
def listening() -> Iterator[list[str]]:
    global _unpickled  # noqa: PLW0603 - an audit hook cannot be taken away again
    _unpickled = []
    try:
        yield _unpickled
    finally:
        _unpickled = None


class Malicious:
    """Would write a file when unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (open, (str(self.target), "w"))


def lead(file: Path) -> None:
    from distill_jobs.training.teachers.lead import take_lead

    take_lead(
        Teacher(weights=file, classes={"car": "person", "person": "car"}),
        file.with_name("t"),
        NAMES,
    )


def student(file: Path) -> None:
    from ultralytics.nn.tasks import DetectionModel

    from distill_jobs.training.networks import find_origin

    DetectionModel(find_origin(Student(weights=file)).shape, verbose=False)


def pruned(file: Path) -> None:
    from distill_jobs.training.prune import prune

    prune(load_detector(file), Prune(keep=0.5), names=NAMES, image_size=64)


def further(file: Path) -> None:
    from distill_jobs.training.teachers.seating import Classroom, seat
    from distill_jobs.training.teachers.store import AnswerStore

    room = Classroom(
        student=load_detector(TRAINED),
        class_names=NAMES,
        images=(),
        image_size=64,
        same_pixels=False,
        device=torch.device("cpu"),
        store=AnswerStore(file.with_name("answers")),
    )
    seat(FurtherTeacher(weights=file), room)


def labelling(file: Path) -> None:
    Asked(weights=file, image_size=64, min_score=0.1).read()


def finished(file: Path) -> None:
    from distill_jobs.training.plain import write_plain_checkpoint

    write_plain_checkpoint(file, file.with_name("plain.pt"))


READERS = (lead, student, pruned, further, labelling, finished)


@pytest.mark.parametrize("read", READERS)
def test_what_a_checkpoint_holds_beside_a_genuine_network_never_runs(
    read: Callable[[Path], None], tmp_path: Path
):
    content = torch.load(TRAINED, weights_only=False)
    content["train_args"] = {**content["train_args"], "task": Malicious(tmp_path / "owned")}
    torch.save(content, tmp_path / "evil.pt")

    with listening() as unpickled, pytest.raises(JobError):
        read(tmp_path / "evil.pt")

    assert unpickled == []
    assert not (tmp_path / "owned").exists()


def test_a_training_s_file_without_a_network_is_told(tmp_path: Path):
    (tmp_path / "weights").mkdir()
    torch.save({"model": None, "epoch": 3}, tmp_path / "weights" / "last.pt")

    with pytest.raises(TrainingFailed, match=r"last\.pt holds no network\. Remove the folder"):
        finished(tmp_path / "weights" / "last.pt")


class Fetching:
    """Would have ultralytics fetch a teacher when unpickled; its classes are all known ones."""

    def __init__(self, url: str, student: torch.nn.Module) -> None:
        self.url, self.student = url, student

    def __reduce__(self) -> Any:
        from ultralytics.nn.distill_model import DistillationModel

        return (DistillationModel, (self.url, self.student))


@pytest.mark.parametrize("read", [lead, student, pruned, further, labelling])
def test_a_checkpoint_fetches_nothing(read: Callable[[Path], None], tmp_path: Path):
    from ultralytics.nn.distill_model import DistillationModel

    # As if one had been read before: torch takes the class for harmless from then on.
    harmless = torch.serialization.safe_globals([DistillationModel])
    content = torch.load(TRAINED, weights_only=False)
    with harmless, socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/any-name.py"
        content["more"] = Fetching(url, content["model"])
        torch.save(content, tmp_path / "evil.pt")

        with pytest.raises(JobError, match="unfinished distillation by ultralytics"):
            read(tmp_path / "evil.pt")

        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("there", ["x.pt", "more.pt"])
def test_a_path_that_ultralytics_takes_for_another_is_refused(tmp_path: Path, there: str):
    (tmp_path / "'x.pt").write_bytes(TRAINED.read_bytes())
    (tmp_path / there).write_bytes(TRAINED.read_bytes())

    with pytest.raises(JobError, match=r"would take this path for .*/x\.pt: give it another"):
        load_detector(tmp_path / "'x.pt")


def test_the_ear_hears_an_unrestricted_unpickler():
    with listening() as unpickled:
        torch.load(TRAINED, weights_only=False)

    assert "ultralytics.nn.tasks.DetectionModel" in unpickled


@pytest.mark.parametrize("read", READERS)
def test_a_genuine_checkpoint_never_meets_an_unrestricted_unpickler(
    read: Callable[[Path], None], tmp_path: Path
):
    """Nothing is checked by one loader and read again by another: a file may change in between."""
    file = tmp_path / "genuine.pt"
    file.write_bytes(TRAINED.read_bytes())

    with listening() as unpickled:
        read(file)

    assert unpickled == []


@pytest.mark.parametrize("read", [student, pruned])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("activation", "open('owned', 'w')"),
        ("backbone", [[-1, 1, "torch_safe_load", ["owned"]]]),
    ],
)
def test_a_network_s_description_is_not_evaluated(
    read: Callable[[Path], None],
    key: str,
    value: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    content = torch.load(TRAINED, weights_only=False)
    content["model"].yaml[key] = value
    torch.save(content, tmp_path / "evil.pt")

    with pytest.raises(TypeError, match=r"blocked|not a permitted model layer"):
        read(tmp_path / "evil.pt")

    assert not (tmp_path / "owned").exists()


def test_a_kept_state_is_plain_data(tmp_path: Path):
    from distill_jobs.training.resume_file import read_state

    torch.save({"format": 2, "model": Malicious(tmp_path / "owned")}, tmp_path / "resume.pt")

    with listening() as unpickled, pytest.raises(JobError, match="is damaged"):
        read_state(tmp_path)

    assert unpickled == []
    assert not (tmp_path / "owned").exists()
