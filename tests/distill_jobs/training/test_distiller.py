import copy
import pickle

import pytest
import torch
from small_pairs import Saying, batch, build, dense, distiller

from distill_jobs.errors import HeadsDiffer
from distill_jobs.training.schedule import Moment

EVERYTHING = {"class": 1, "box": 2, "dfl": 0.25, "cwd": 1, "features": 6, "pkd": 6}
NO_DFL = {**EVERYTHING, "dfl": 0}


def boxes_answer(count: int = 1, *, known: tuple[bool, ...] = (True, True)):
    from distill_jobs.training.answers import BoxesAnswer

    one = torch.tensor([[8.0, 8.0, 40.0, 40.0]])[:count]
    return BoxesAnswer(
        boxes_xyxy_px=(one, one[:0]),
        scores=(torch.tensor([0.8])[:count], torch.zeros(0)),
        class_ids=(torch.tensor([1])[:count], torch.zeros(0, dtype=torch.int64)),
        known=torch.tensor(known),
    )


def test_the_total_is_the_task_loss_plus_alpha_times_the_shares():
    model = distiller(build("yolov8n"), build("yolov5n"))

    alone, alone_items = model(batch())
    model.moment = Moment(alpha=0.5)
    half, _ = model(batch())
    model.moment = Moment(alpha=1.0)
    full, items = model(batch())

    assert alone.shape == full.shape == (5,)
    assert alone[3:].tolist() == [0.0, 0.0]
    torch.testing.assert_close(full[3:], 2 * half[3:], rtol=1e-3, atol=1e-6)
    assert (full[3:] > 0).all()
    assert list(items) == list(alone_items)
    assert list(items)[-2:] == list(model.loss_names) == ["class_distill", "box_distill"]
    torch.testing.assert_close(full[3:], torch.stack(list(items.values())[-2:]) * 2)


def test_convex_takes_from_the_task_loss_what_it_gives_to_the_teacher():
    schedule = {"mode": "convex", "warmup_epochs": 0, "final": 0.5}
    model = distiller(build("yolov8n"), build("yolov8n"), schedule=schedule)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.eval()

    alone, _ = model(batch())
    model.begin_epoch(1, 2)
    half, items = model(batch())

    assert model.moment.task_weight == 0.5
    torch.testing.assert_close(half[:3], 0.5 * alone[:3])
    torch.testing.assert_close(torch.stack(list(items.values())[:3]) * 2, alone[:3])


@pytest.mark.parametrize(
    ("teacher", "student", "losses"),
    [
        ("yolov8n", "yolo11n", EVERYTHING),
        ("yolo11n", "yolov8n", EVERYTHING),
        ("yolov8n", "yolov5n", EVERYTHING),
        ("yolov5n", "yolo26n", NO_DFL),
        ("yolo26n", "yolov8n", NO_DFL),
        ("yolo26n", "yolo26n", NO_DFL),
    ],
)
def test_every_loss_of_every_pair_of_families_teaches_the_student_alone(teacher, student, losses):
    taught_by, learner = build(teacher, width=0.25), build(student)
    before = {name: value.clone() for name, value in taught_by.state_dict().items()}
    model = distiller(taught_by, learner, losses=losses)
    model.moment = Moment(alpha=1.0)

    loss, items = model(batch())
    loss[3:].sum().backward()

    assert len(items) == 3 + sum(weight > 0 for weight in losses.values())
    assert (loss[3:] > 0).all()
    assert torch.isfinite(loss).all()
    head = learner.model[-1]
    assert head.cv3[0][-1].weight.grad.abs().sum() > 0
    assert head.cv2[0][-1].weight.grad.abs().sum() > 0
    assert learner.model[0].conv.weight.grad.abs().sum() > 0
    assert all(one.weight.grad.abs().sum() > 0 for one in model.projectors.values())
    assert all(parameter.grad is None for parameter in taught_by.parameters())
    for name, value in taught_by.state_dict().items():  # batch norm's statistics included
        assert torch.equal(value, before[name]), name


def test_one_to_one_learns_from_one_to_one_and_from_nobody_else():
    def one_to_one_gradient(teacher):
        student = build("yolo26n")
        model = distiller(teacher, student)
        model.moment = Moment(alpha=1.0)
        model(batch())[0][3:].sum().backward()
        return student.model[-1].one2one_cv3[0][-1].weight.grad

    assert one_to_one_gradient(build("yolo26n", width=0.25)).abs().sum() > 0
    assert one_to_one_gradient(build("yolov8n")).abs().sum() == 0


def test_distributions_need_equal_reg_max_above_one():
    with pytest.raises(HeadsDiffer, match=r"losses\.dfl .* the teacher's is 16, the student's 1 "):
        distiller(build("yolov8n"), build("yolo26n"), losses={"dfl": 0.25})
    with pytest.raises(HeadsDiffer, match=r"the teacher's is 1, the student's 1 .* Set it to 0"):
        distiller(build("yolo26n"), build("yolo26n"), losses={"dfl": 0.25})


def test_heads_with_other_strides_are_refused():
    with pytest.raises(HeadsDiffer, match=r"works at \[8, 16, 32, 64\], the student's at \[8, 16"):
        distiller(build("yolov8n-p6"), build("yolov8n"))


def test_a_student_equal_to_its_teacher_has_nothing_to_learn_from_it():
    teacher, student = build("yolov8n"), build("yolov8n")
    student.load_state_dict(teacher.state_dict())
    model = distiller(teacher, student, losses=EVERYTHING)
    model.moment = Moment(alpha=1.0)
    model.student_model.eval()  # the teacher's mode: batch norm by its statistics

    _, items = model(batch())

    assert len(model.projectors) == 0  # equal widths
    for name in model.loss_names:
        assert items[name].item() == pytest.approx(0, abs=1e-4), name


def test_two_teachers_share_by_weight():
    first, second, student = build("yolov8n"), build("yolo11n"), build("yolov5n")
    for norm in student.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = 0.0

    def shares(*teachers):
        model = distiller(teachers, student)
        model.moment = Moment(alpha=1.0)
        return model(batch())[0][3:].detach()

    both = shares(dense(first, weight=3), dense(second, weight=1))

    expected = 0.75 * shares(dense(first)) + 0.25 * shares(dense(second))
    torch.testing.assert_close(both, expected, rtol=1e-4, atol=1e-6)


def test_finished_boxes_teach_classes_and_positions():
    student = build("yolov8n")
    model = distiller((Saying(boxes_answer()),), student)
    model.moment = Moment(alpha=1.0)

    loss, items = model(batch())
    loss[3:].sum().backward()

    assert items["class_distill"] > 0
    assert items["box_distill"] > 0
    assert student.model[-1].cv3[0][-1].weight.grad.abs().sum() > 0
    assert sum(level[-1].weight.grad.abs().sum() for level in student.model[-1].cv2) > 0


@pytest.mark.parametrize("name", ["yolov8n", "yolo26n"])
def test_images_without_finished_boxes_teach_that_nothing_is_there(name):
    student = build(name)
    model = distiller((Saying(boxes_answer(count=0)),), student)
    model.moment = Moment(alpha=1.0)

    loss, items = model(batch())
    loss[3:].sum().backward()

    assert items["box_distill"] == 0
    assert 0 < items["class_distill"] < 0.1
    assert torch.isfinite(loss).all()


def test_classes_that_the_teacher_does_not_know_are_not_taught():
    student = build("yolov8n")
    model = distiller((Saying(boxes_answer(count=0, known=(True, False))),), student)
    model.moment = Moment(alpha=1.0)

    model(batch())[0][3:].sum().backward()

    by_class = student.model[-1].cv3[0][-1].weight.grad.abs().sum(dim=(1, 2, 3))
    assert by_class[0] > 0
    assert by_class[1] == 0


def test_finished_boxes_alone_cannot_teach_features():
    with pytest.raises(HeadsDiffer, match="dfl, pkd need a teacher that answers at"):
        distiller((Saying(boxes_answer()),), build("yolov8n"), losses={"dfl": 1, "pkd": 6})


def test_a_boxes_teacher_beside_a_dense_one_shares_what_both_can_teach():
    both = (dense(build("yolov8n", width=0.25)), Saying(boxes_answer()))
    model = distiller(both, build("yolov8n"), losses=EVERYTHING)
    model.moment = Moment(alpha=1.0)

    loss, _ = model(batch())

    assert (loss[3:] > 0).all()
    assert torch.isfinite(loss).all()


def test_deep_features_come_first():
    model = distiller(
        build("yolov8n", width=0.25),
        build("yolov8n"),
        losses=EVERYTHING,
        schedule={"warmup_epochs": 0, "ramp_epochs": 0, "shallow_from_epoch": 1},
    )

    model.begin_epoch(0, 3)
    model(batch())[0].sum().backward()
    first = {name: one.weight.grad for name, one in model.projectors.items()}
    model.begin_epoch(1, 3)
    model(batch())[0].sum().backward()

    assert [name for name, gradient in first.items() if gradient is not None] == ["0_2"]
    assert all(one.weight.grad is not None for one in model.projectors.values())


def test_validation_gives_the_same_loss_items_and_needs_no_teacher():
    model = distiller(build("yolov8n"), build("yolov5n"), losses=EVERYTHING)
    model.moment = Moment(alpha=1.0)
    _, training_items = model(batch())
    average = copy.deepcopy(model).eval()  # as ultralytics' EMA

    loss, items = average(batch(), average(batch()["img"]))

    assert average.teachers == ()
    assert loss.shape == (9,)
    assert list(items) == list(training_items)
    assert items["class_distill"].item() == 0


def test_a_checkpoint_holds_the_projectors_and_no_teacher():
    teacher, student = build("yolov8n", width=0.25), build("yolov8n")
    model = distiller(teacher, student, losses={"cwd": 1})

    taken_up = pickle.loads(pickle.dumps(model))  # noqa: S301  # written a moment ago

    own = {f"student_model.{name}" for name in student.state_dict()}
    extra = model.state_dict().keys() - own
    assert extra == {
        f"projectors.0_{level}.{part}" for level in range(3) for part in ("weight", "bias")
    }
    assert taken_up.state_dict().keys() == model.state_dict().keys()
    assert taken_up.teachers == ()


def test_a_batch_without_objects_is_finite():
    model = distiller(build("yolov8n", width=0.25), build("yolov5n"), losses=EVERYTHING)
    model.moment = Moment(alpha=1.0)

    loss, _ = model(batch(objects=0))
    loss.sum().backward()

    assert torch.isfinite(loss).all()


def test_features_are_compared_in_float32_under_autocast():
    model = distiller(build("yolov8n", width=0.25), build("yolov8n"), losses=EVERYTHING)
    model.moment = Moment(alpha=1.0)

    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = model(batch())

    assert loss[3:].dtype == torch.float32
    assert torch.isfinite(loss).all()
