from types import SimpleNamespace

import pytest
import torch

from distill_jobs.environment import offline
from distill_jobs.errors import HeadsDiffer, JobError
from distill_jobs.recipe.distillation import Losses
from distill_jobs.recipe.networks import Student

SIDE = 64


def build(name: str, *, width: float | None = 0.125, names: tuple[str, ...] = ("a", "b")):
    offline()
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    from distill_jobs.training.networks import find_origin

    torch.manual_seed(0)
    shape = find_origin(Student(architecture=name, width=width)).shape
    model = DetectionModel(shape, nc=len(names), verbose=False)
    model.names = dict(enumerate(names))
    model.args = get_cfg(overrides={"imgsz": SIDE})
    return model


def distiller(teacher, student):
    from distill_jobs.training.distiller import Distiller

    return Distiller(teacher, student, Losses(classes=1.0, box=2.0)).train()


def batch(objects: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "img": torch.rand(2, 3, SIDE, SIDE, generator=generator),
        "batch_idx": torch.zeros(objects),
        "cls": torch.zeros(objects, 1),
        "bboxes": torch.full((objects, 4), 0.5),
    }


def test_the_total_is_the_task_loss_plus_alpha_times_the_shares():
    model = distiller(build("yolov8n"), build("yolov5n"))

    model.alpha = 0.0
    alone, alone_items = model(batch())
    model.alpha = 0.5
    half, _ = model(batch())
    model.alpha = 1.0
    full, items = model(batch())

    assert alone.shape == full.shape == (5,)
    assert alone[3:].tolist() == [0.0, 0.0]
    torch.testing.assert_close(full[3:], 2 * half[3:], rtol=1e-3, atol=1e-6)
    assert (full[3:] > 0).all()
    assert list(items) == list(alone_items)
    assert list(items)[-2:] == ["class_distill", "box_distill"]
    torch.testing.assert_close(full[3:], torch.stack(list(items.values())[-2:]) * 2)


def test_gradient_reaches_the_students_head_and_leaves_the_teacher_untouched():
    teacher, student = build("yolov8n"), build("yolov5n")
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    model = distiller(teacher, student)
    model.alpha = 1.0

    loss, _ = model(batch())
    loss[3:].sum().backward()

    head = student.model[-1]
    assert head.cv3[0][-1].weight.grad.abs().sum() > 0
    assert head.cv2[0][-1].weight.grad.abs().sum() > 0
    assert student.model[0].conv.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in teacher.parameters())
    for name, value in teacher.state_dict().items():  # batch norm's statistics included
        assert torch.equal(value, before[name]), name


def test_a_student_equal_to_its_teacher_has_nothing_to_learn_from_it():
    teacher = build("yolov8n")
    student = build("yolov8n")
    student.load_state_dict(teacher.state_dict())
    model = distiller(teacher, student)
    model.alpha = 1.0
    model.student_model.eval()  # the teacher's mode: batch norm by its statistics

    _, items = model(batch())

    assert items["class_distill"].item() == pytest.approx(0, abs=1e-5)
    assert items["box_distill"].item() == pytest.approx(0, abs=1e-5)


def test_validation_gives_the_same_loss_items_and_needs_no_teacher():
    model = distiller(build("yolov8n"), build("yolov5n"))
    model.alpha = 1.0
    _, training_items = model(batch())
    model.eval()
    model.teacher_model = None  # as in the EMA copy that ultralytics validates

    loss, items = model(batch(), model(batch()["img"]))

    assert loss.shape == (5,)
    assert list(items) == list(training_items)
    assert items["class_distill"].item() == 0


def test_a_batch_without_objects_is_finite():
    model = distiller(build("yolov8n"), build("yolov5n"))
    model.alpha = 1.0

    loss, _ = model(batch(objects=0))
    loss.sum().backward()

    assert torch.isfinite(loss).all()


def test_heads_with_other_classes_are_refused():
    with pytest.raises(HeadsDiffer, match=r"the teacher knows 3 classes \(a, b, c\), the data set"):
        distiller(build("yolov8n", names=("a", "b", "c")), build("yolov8n"))


def test_heads_with_other_strides_are_refused():
    with pytest.raises(HeadsDiffer, match=r"works at \[8, 16, 32, 64\], the student's at \[8, 16"):
        distiller(build("yolov8n-p6"), build("yolov8n"))


def test_decoded_boxes_are_those_of_the_head_itself():
    from ultralytics.utils.ops import xywh2xyxy

    from distill_jobs.training.heads import read_head

    model = build("yolov8n").eval()
    with torch.no_grad():
        decoded, raw = model(batch()["img"])
        output = read_head(model, (decoded, raw))

    expected = xywh2xyxy(decoded[:, :4].permute(0, 2, 1))
    torch.testing.assert_close(output.boxes_xyxy_px, expected, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(output.logits.sigmoid(), decoded[:, 4:])


@pytest.mark.parametrize("name", ["yolov5s", "yolov5l", "yolov8n", "yolo11n.yaml"])
def test_yolo_names_are_built_without_a_download(name, tmp_path, monkeypatch):
    from ultralytics.nn.tasks import DetectionModel

    from distill_jobs.training.networks import find_origin

    monkeypatch.chdir(tmp_path)

    with torch.device("meta"):
        origin = find_origin(Student(architecture=name))

    assert origin.shape["backbone"]
    assert origin.shape["scale"] == name.removesuffix(".yaml")[-1]
    if name == "yolov5s":
        assert len(DetectionModel(origin.shape, nc=4, verbose=False).model) == 25
    assert list(tmp_path.iterdir()) == []


def test_width_replaces_the_architectures_own_scale():
    slim, own = build("yolov8n"), build("yolov8n", width=None)
    counts = SimpleNamespace(
        slim=sum(p.numel() for p in slim.parameters()), own=sum(p.numel() for p in own.parameters())
    )

    assert counts.slim * 3 < counts.own


def test_an_unknown_architecture_is_told_plainly():
    from distill_jobs.training.networks import find_origin

    with pytest.raises(JobError, match=r"ultralytics has no 'yolov99z\.yaml'; it has for example"):
        find_origin(Student(architecture="yolov99z"))
