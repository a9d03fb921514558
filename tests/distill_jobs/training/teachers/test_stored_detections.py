import json

import cv2
import numpy as np
import pytest

from distill_jobs.errors import DataSetInvalid
from distill_jobs.training.teachers.classes import ClassMap


def record(**changes):
    return {
        "image": "a.png",
        "boxes_xyxy_px": [[1, 2, 11, 22], [30, 30, 50, 60.5]],
        "scores": [0.4, 0.9],
        "classes": ["cat", "dog"],
        **changes,
    }


@pytest.fixture
def image(tmp_path):
    from distill_jobs.training.teachers.found import SourceImage

    path = tmp_path / "000003-a.png"
    assert cv2.imwrite(str(path), np.zeros((60, 40, 3), np.uint8))
    return SourceImage(path)


def load(tmp_path, text, class_names=None):
    from distill_jobs.training.teachers.stored import StoredDetections

    file = tmp_path / "found.jsonl"
    file.write_text(text if isinstance(text, str) else "\n".join(map(json.dumps, text)))
    return StoredDetections.load(file, class_names)


def find(stored, image, renamed=None, min_score=0.1):
    from distill_jobs.training.teachers.found import Selection
    from distill_jobs.training.teachers.stored import StoredFinder

    class_map = ClassMap.between(stored.class_names, ("dog", "cat"), renamed)
    return StoredFinder(stored, Selection(class_map, min_score)).find(image)


def test_boxes_arrive_best_first_clipped_and_in_the_students_classes(tmp_path, image):
    found = find(load(tmp_path, [record()]), image)

    assert found.boxes_xyxy_px.tolist() == [[30, 30, 40, 60], [1, 2, 11, 22]]
    assert found.scores.tolist() == pytest.approx([0.9, 0.4])
    assert found.class_ids.tolist() == [0, 1]
    assert (found.width, found.height) == (40, 60)


def test_class_ids_are_read_by_the_job_files_names(tmp_path, image):
    stored = load(tmp_path, [record(classes=None, class_ids=[0, 1])], ("cat", "dog"))

    assert find(stored, image).class_ids.tolist() == [0, 1]


def test_an_image_is_known_by_its_digest_too(tmp_path, image):
    stored = load(tmp_path, [record(image=None, sha256=image.sha256)])

    assert len(find(stored, image).scores) == 2


def test_low_scores_and_unwanted_classes_are_left_out(tmp_path, image):
    stored = load(tmp_path, [record()])

    assert find(stored, image, min_score=0.5).scores.tolist() == pytest.approx([0.9])
    assert find(stored, image, {"dog": None}).class_ids.tolist() == [1]


def test_boxes_of_classes_that_became_one_are_suppressed_anew(tmp_path, image):
    boxes = [[1, 2, 11, 22], [1, 2, 11, 23]]
    stored = load(tmp_path, [record(boxes_xyxy_px=boxes)])

    merged = find(stored, image, {"cat": "dog"})

    assert merged.scores.tolist() == pytest.approx([0.9])
    assert len(find(stored, image).scores) == 2


def test_one_json_array_will_do(tmp_path, image):
    stored = load(tmp_path, json.dumps([record(), record(image="b.png")], indent=1))

    assert set(stored.by_name) == {"a.png", "b.png"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"scores": [0.4]}, "2 boxes, 1 scores and 2 classes"),
        ({"scores": [0.4, 1.4]}, "scores.1: .*less than or equal to 1"),
        (
            {"boxes_xyxy_px": [[1, 2, 1, 4], [1, 2, 3, 4]]},
            r"box \[1.0, 2.0, 1.0, 4.0\] is not x1 <",
        ),
        ({"boxes_xyxy_px": [[1, 2, 3], [1, 2, 3, 4]]}, "boxes_xyxy_px.0.3: Field required"),
        ({"image": None}, "names no image"),
        ({"classes": None}, "give exactly one of `classes` and `class_ids`"),
        ({"classes": None, "class_ids": [0, 1]}, "say nothing without `class_names:`"),
        ({"speed": 3}, "speed: Extra inputs are not permitted"),
    ],
)
def test_a_fault_names_its_line(tmp_path, changes, problem):
    with pytest.raises(DataSetInvalid, match=f"found.jsonl:2: .*{problem}"):
        load(tmp_path, [record(image="z.png"), record(**changes)])


def test_what_is_no_json_names_its_line(tmp_path):
    with pytest.raises(DataSetInvalid, match=r"found\.jsonl:2: not JSON"):
        load(tmp_path, json.dumps(record()) + "\n{oops}")


def test_a_folder_is_no_file_of_detections(tmp_path):
    from distill_jobs.training.teachers.stored import StoredDetections

    with pytest.raises(DataSetInvalid, match=r"not a readable file of detections \(.*directory"):
        StoredDetections.load(tmp_path, None)


def test_a_second_record_of_an_image_is_refused(tmp_path):
    with pytest.raises(DataSetInvalid, match=r"found\.jsonl:2: a second record of a\.png"):
        load(tmp_path, [record(), record()])


def test_each_training_image_needs_a_record(tmp_path, image):
    stored = load(tmp_path, [record(image="b.png")])

    with pytest.raises(DataSetInvalid, match=r"no record of 1 of the 1 training .*example a\.png"):
        stored.check_covers([image])


def test_two_images_of_one_name_need_digests(tmp_path, image):
    from distill_jobs.training.teachers.found import SourceImage

    other = tmp_path / "000009-a.png"
    assert cv2.imwrite(str(other), np.ones((60, 40, 3), np.uint8))
    stored = load(tmp_path, [record()])

    with pytest.raises(DataSetInvalid, match=r"a\.png: two images bear this name"):
        stored.check_covers([image, SourceImage(other)])
