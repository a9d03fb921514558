import copy

import pytest
import torch
from small_detectors import SIDE, detector, images

from distill_jobs.training.teachers.classes import UNKNOWN_LOGIT, ClassMap


def teacher(model, student_names=("a", "b"), **options):
    from distill_jobs.training.teachers.dense import DetectorTeacher

    class_map = ClassMap.between(tuple(model.names.values()), student_names)
    return DetectorTeacher(model, class_map, **options)


def test_the_answer_is_what_the_detector_says_in_eval_mode():
    model = detector().train()
    expected, _ = copy.deepcopy(model).eval()(images())

    answer = teacher(model, weight=0.5).answer({"img": images()})

    torch.testing.assert_close(answer.head.logits.sigmoid(), expected[:, 4:])
    assert answer.head.boxes_xyxy_px.shape == (2, expected.shape[2], 4)
    assert not answer.head.logits.requires_grad


def test_features_come_level_by_level_the_finest_first():
    answer = teacher(detector()).answer({"img": images()})

    assert [tuple(level.shape[2:]) for level in answer.features] == [
        (SIDE // stride, SIDE // stride) for stride in (8, 16, 32)
    ]


def test_classes_arrive_in_the_students_order():
    model = detector(names=("b", "x", "a"))
    own = teacher(model, ("b", "x", "a")).answer({"img": images()}).head.logits

    answer = teacher(model, ("a", "b", "c")).answer({"img": images()})

    assert torch.equal(answer.head.logits[:, :2], own[:, [2, 0]])
    assert (answer.head.logits[:, 2] == UNKNOWN_LOGIT).all()
    assert answer.known.tolist() == [True, True, False]


def test_a_teacher_is_frozen_and_leaves_no_hooks_behind():
    model = detector()
    before = copy.deepcopy(model.state_dict())
    one = teacher(model)

    one.answer({"img": images()})

    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(layer._forward_hooks for layer in model.model)
    assert copy.deepcopy({"teacher": one})["teacher"] is one


@pytest.mark.parametrize("offload", ["whole", "layers"])
def test_an_offloaded_teacher_answers_alike_and_goes_home(offload):
    expected = teacher(detector()).answer({"img": images()})
    model = detector()
    travelling = teacher(model, offload=offload)
    homes = [parameter.data_ptr() for parameter in model.parameters()]

    first = travelling.answer({"img": images()})
    second = travelling.answer({"img": images()})

    for answer in (first, second):
        assert torch.equal(answer.head.logits, expected.head.logits)
        assert torch.equal(answer.head.boxes_xyxy_px, expected.head.boxes_xyxy_px)
        assert all(map(torch.equal, answer.features, expected.features))
    assert [parameter.data_ptr() for parameter in model.parameters()] == homes


def test_layers_come_one_at_a_time():
    from distill_jobs.training.teachers.residence import residence_of

    model = detector().eval()
    residence = residence_of(model, "layers")
    homes = {parameter.data_ptr() for parameter in model.parameters()}

    def away(layer):
        return any(parameter.data_ptr() not in homes for parameter in layer.parameters())

    seen: list[list[bool]] = []
    for layer in model.model[:-1]:
        layer.register_forward_pre_hook(lambda *_: seen.append([away(one) for one in model.model]))

    with residence.on(torch.device("cpu")):
        model(images())

    assert all(sum(there[:-1]) <= 1 and there[-1] for there in seen)
    assert sum(any(there[:-1]) for there in seen) > 5
    assert not any(away(layer) for layer in model.model)


def test_detectors_of_other_strides_and_queries_answer_elsewhere():
    from distill_jobs.training.teachers.dense import answers_alike

    student = detector()

    assert answers_alike(detector("yolov5n"), student)
    assert not answers_alike(detector("yolov8n-p6"), student)


def test_a_one_to_one_branch_is_answered_too():
    model = detector("yolo26n", names=("b", "a"))

    answer = teacher(model, ("a", "b")).answer({"img": images()})

    assert answer.one_to_one is not None
    assert answer.one_to_one.logits.shape == answer.head.logits.shape
    assert not torch.equal(answer.one_to_one.logits, answer.head.logits)
