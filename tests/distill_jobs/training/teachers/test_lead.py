import pytest
import torch
from small_detectors import detector, images

from distill_jobs.checkpoints import class_names, load_detector
from distill_jobs.errors import HeadsDiffer
from distill_jobs.recipe.networks import Teacher


def write(path, name="yolov8n", names=("a", "b")):
    model = detector(name, names=names)
    torch.save({"model": model, "epoch": -1, "train_args": {"task": "detect"}}, path)
    return model


def take(weights, names, **keys):
    from distill_jobs.training.teachers.lead import take_lead

    target = weights.with_name("teacher.pt")
    take_lead(Teacher(weights=weights, **keys), target, names)
    return target


def test_a_lead_of_the_data_sets_classes_is_copied_as_it_is(tmp_path):
    weights = tmp_path / "lead.pt"
    write(weights)

    target = take(weights, ("a", "b"))

    assert target.read_bytes() == weights.read_bytes()


def test_a_lead_whose_classes_are_called_alike_and_mean_others_is_renamed(tmp_path):
    weights = tmp_path / "lead.pt"
    before = write(weights).eval()

    target = take(weights, ("a", "b"), classes={"a": "b", "b": "a"})

    with torch.no_grad():
        expected, found = before(images())[0], load_detector(target)(images())[0]
    torch.testing.assert_close(found[:, 4:], expected[:, [5, 4]])


@pytest.mark.parametrize("name", ["yolov8n", "yolo26n"])
def test_a_lead_that_knows_more_is_cut_and_scores_alike(tmp_path, name):
    weights = tmp_path / "lead.pt"
    before = write(weights, name, ("x", "cat", "old dog")).eval()
    before.model[-1].end2end = False

    target = take(weights, ("dog", "cat"), classes={"old dog": "dog"})

    after = load_detector(target)
    after.model[-1].end2end = False
    assert class_names(after) == ("dog", "cat")
    with torch.no_grad():
        expected, found = before(images())[0], after(images())[0]
    assert found.shape[1] == 6
    torch.testing.assert_close(found[:, :4], expected[:, :4])
    torch.testing.assert_close(found[:, 4:], expected[:, [6, 5]])


@pytest.mark.parametrize(
    ("classes", "problem"),
    [
        ({}, r"it does not know 'dog'.*list it under `further_teachers:`"),
        ({"x": "cat"}, "several of its classes become 'cat'"),
    ],
)
def test_a_lead_that_cannot_be_measured_is_refused(tmp_path, classes, problem):
    weights = tmp_path / "lead.pt"
    write(weights, names=("x", "cat"))

    with pytest.raises(HeadsDiffer, match=problem):
        take(weights, ("cat", "dog"), classes=classes)
