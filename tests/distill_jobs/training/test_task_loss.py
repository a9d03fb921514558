import pytest
import torch
from small_pairs import Saying, batch, build, distiller

from distill_jobs.training.schedule import Moment


def mixed() -> dict[str, torch.Tensor]:
    """Two objects in the first image, one in the second."""
    return {
        **batch(),
        "batch_idx": torch.tensor([0.0, 0.0, 1.0]),
        "cls": torch.tensor([[0.0], [1.0], [1.0]]),
        "bboxes": torch.tensor([[0.3, 0.3, 0.3, 0.4], [0.6, 0.6, 0.4, 0.4], [0.5, 0.5, 0.6, 0.6]]),
    }


def alone(image: int) -> dict[str, torch.Tensor]:
    whole = mixed()
    mine = whole["batch_idx"] == image
    labels = {name: whole[name][mine] for name in ("cls", "bboxes")}
    return {"img": whole["img"][image : image + 1], "batch_idx": torch.zeros(mine.sum()), **labels}


def loss_of(student, given):
    from distill_jobs.training.task_loss import task_loss

    return task_loss(student, given, student(given["img"]))


@pytest.mark.parametrize("name", ["yolov8n", "yolo26n"])
@pytest.mark.parametrize("labelled", [0, 1])
def test_an_unlabelled_image_takes_no_part(name, labelled):
    student = build(name).eval()  # in eval mode images do not meet in batch norm
    flags = torch.tensor([labelled == 0, labelled == 1])

    loss, items = loss_of(student, {**mixed(), "labelled": flags})

    expected, expected_items = loss_of(student, alone(labelled))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(items, expected_items)
    assert (loss[:2] > 0).all()


def test_all_labelled_is_as_if_nothing_had_been_said():
    student = build("yolov8n").eval()

    said, _ = loss_of(student, {**mixed(), "labelled": torch.tensor([True, True])})

    torch.testing.assert_close(said, loss_of(student, mixed())[0])


@pytest.mark.parametrize("name", ["yolov8n", "yolo26n"])
def test_without_any_label_the_loss_is_nothing_and_gradients_flow(name):
    student = build(name).train()

    loss, items = loss_of(student, {**mixed(), "labelled": torch.tensor([False, False])})
    loss.sum().backward()

    assert loss.tolist() == [0.0, 0.0, 0.0]
    assert all(value == 0 for value in items.values())
    assert list(items) == list(loss_of(student, mixed())[1])
    gradient = student.model[-1].cv3[0][-1].weight.grad
    assert gradient is not None
    assert (gradient == 0).all()


def test_teachers_explain_unlabelled_images_too():
    student = build("yolov8n")
    model = distiller(build("yolov5n"), student)
    model.moment = Moment(alpha=1.0)

    loss, _ = model({**mixed(), "labelled": torch.tensor([False, False])})
    loss.sum().backward()

    assert loss[:3].tolist() == [0.0, 0.0, 0.0]
    assert (loss[3:] > 0).all()
    assert student.model[0].conv.weight.grad.abs().sum() > 0


def test_validation_masks_them_as_well():
    model = distiller((Saying(None),), build("yolov8n")).eval()
    given = {**mixed(), "labelled": torch.tensor([True, False])}

    loss, _ = model(given, model(given["img"]))

    torch.testing.assert_close(loss[:3], loss_of(model.student_model, alone(0))[0])
