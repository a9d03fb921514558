import pytest
from pydantic import ValidationError

from distill_jobs.recipe.teachers import FurtherTeacher, Voice


def test_a_voice_that_says_nothing_is_heard_in_full():
    voice = Voice()

    assert (voice.weight, voice.answers, voice.offload, voice.cache) == (1, "auto", "none", False)


def test_a_teacher_knows_its_source(tmp_path):
    teacher = FurtherTeacher(onnx=tmp_path / "old.onnx", layout="yolov5", weight=0.5)

    assert teacher.source == "onnx"
    assert teacher.file == tmp_path / "old.onnx"


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({}, "give exactly one of `weights:`"),
        ({"weights": "a.pt", "onnx": "a.onnx"}, "give exactly one of"),
        ({"onnx": "a.onnx"}, "`onnx:` needs `layout: yolov5`"),
        ({"weights": "a.pt", "layout": "yolov8"}, "`layout:` belongs to"),
        ({"weights": "a.pt", "class_names": ["x"]}, "names its classes itself"),
        ({"weights": "a.pt", "image_size": 640}, "say `answers: boxes`"),
        ({"detections": "a.jsonl", "answers": "dense"}, "`detections:` gives finished boxes"),
        ({"detections": "a.jsonl", "image_size": 64}, "no `image_size:`"),
        ({"torchscript": "a", "layout": "yolov8", "offload": "whole"}, "gives finished boxes"),
        ({"weights": "a.pt", "weight": 0}, "greater than 0"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(keys, problem):
    with pytest.raises(ValidationError, match=problem):
        FurtherTeacher(**keys)
