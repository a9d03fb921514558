import pytest
import torch

from distill_jobs.errors import HeadsDiffer
from distill_jobs.training.teachers.classes import UNKNOWN_LOGIT, ClassMap


def test_classes_match_by_name_in_whatever_order():
    class_map = ClassMap.between(("dog", "cat", "bird"), ("cat", "dog", "horse"))
    logits = torch.tensor([[[1.0], [2.0], [3.0]]])

    mapped = class_map.logits(logits)

    assert mapped[0, :, 0].tolist() == [2.0, 1.0, UNKNOWN_LOGIT]
    assert class_map.known.tolist() == [True, True, False]
    assert not class_map.merges


def test_several_classes_of_the_teacher_become_one_by_their_highest_score():
    renamed = {"car": "vehicle", "truck": "vehicle"}
    class_map = ClassMap.between(("car", "person", "truck"), ("person", "vehicle"), renamed)
    logits = torch.tensor([[[1.0, 5.0], [2.0, 2.0], [3.0, 4.0]]])

    mapped = class_map.logits(logits)

    assert mapped[0].tolist() == [[2.0, 2.0], [3.0, 5.0]]
    assert class_map.merges


def test_a_class_mapped_to_nothing_is_not_listened_to():
    class_map = ClassMap.between(("cat", "dog"), ("cat", "dog"), {"dog": None})

    assert class_map.known.tolist() == [True, False]


def test_equal_classes_are_handed_on_as_they_are():
    logits = torch.rand(2, 2, 5)

    assert ClassMap.between(("a", "b"), ("a", "b")).logits(logits) is logits


@pytest.mark.parametrize(
    ("renamed", "message"),
    [
        ({"mouse": "cat"}, r"'mouse' is no class of the teacher, which knows 2 classes \(dog, fox"),
        ({"dog": "wolf"}, r"'dog' is mapped to 'wolf', which is no class of the data set"),
        ({}, r"the teacher knows 2 classes \(dog, fox\), the data set names 1 classes \(cat\)"),
    ],
)
def test_names_that_do_not_exist_are_told(renamed, message):
    with pytest.raises(HeadsDiffer, match=message):
        ClassMap.between(("dog", "fox"), ("cat",), renamed)
