"""What cannot be measured, or not surely, lets no student through unsaid."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from test_average_precision import image
from test_release_gate import HELD, IMAGES, accord, finder, judged, measured, pair
from tiny_networks import OPEN_GATE

from distill_jobs.errors import GateRefused
from distill_jobs.progress import Silent
from distill_jobs.recipe.release import Gate
from distill_jobs.release.agreement import Agreement
from distill_jobs.release.build import build_release
from distill_jobs.release.checks import Check
from distill_jobs.release.evidence import Accord, Evidence
from distill_jobs.release.gate import check_all, refuse_failed
from distill_jobs.release.matches import ImageMatches
from distill_jobs.release.request import ReleaseRequest

LABELLED = Evidence(held=HELD, student=measured(finder(90)), file_bytes=3_000_000)


def refused(evidence: Evidence, **limits: Any) -> dict[str, str]:
    """Return the complaints by rule."""
    with pytest.raises(GateRefused) as caught:
        refuse_failed(check_all(evidence, Gate(**limits)))
    return {one.rule: one.complaint for one in caught.value.failures}


@pytest.mark.parametrize(
    ("evidence", "limits", "why"),
    [
        (LABELLED, {"min_retention_map50": 0.9}, "no teacher to compare with"),
        (LABELLED, {"min_retention_map50_95": 0.9}, "no teacher to compare with"),
        (LABELLED, {"min_class_retention_map50": 0.9}, "no teacher to compare with"),
        (LABELLED, {"min_size_retention_map50_95": 0.9}, "no teacher to compare with"),
        (LABELLED, {"min_recall_retention": 0.9}, "no teacher to compare with"),
        (LABELLED, {"min_precision_retention": 0.9}, "no teacher to compare with"),
        (LABELLED, {"min_agreement_f1": 0.9}, "gate.frames"),
        (LABELLED, {"max_live_drop_map50_95": 0.1}, "no live model"),
        (LABELLED, {"max_live_drop_f1": 0.1}, "gate.frames"),
        (LABELLED, {"max_size_ratio": 1e-6}, "teacher's own files were not measured"),
        (LABELLED, {"max_latency_ratio": 1e-6}, "teacher's own files were not measured"),
        (Evidence(accord=accord(80, 2)), {"min_retention_map50": 0.9}, "no labelled images"),
        (Evidence(accord=accord(80, 2)), {"max_live_drop_map50_95": 0.1}, "no labelled images"),
        (Evidence(accord=accord(80, 2)), {"max_live_drop_f1": 0.1}, "no live model"),
    ],
)
def test_a_limit_that_nothing_was_measured_for_refuses(
    evidence: Evidence, limits: dict[str, float], why: str
) -> None:
    complaints = refused(evidence, **limits)

    assert complaints.keys() == limits.keys()
    (complaint,) = complaints.values()
    assert why in complaint
    assert "is asked for of" in complaint


def test_a_student_without_its_teacher_is_not_released_past_limits_that_need_one(
    request_for: Callable[..., ReleaseRequest],
) -> None:
    limits = {"max_latency_ratio": 1e-6, "max_size_ratio": 1e-6, "min_recall_retention": 0.99}
    request = request_for(gate=OPEN_GATE.model_copy(update=limits))

    with pytest.raises(GateRefused) as caught:
        build_release(request, Silent())

    assert {one.rule for one in caught.value.failures} == set(limits)
    assert not list(request.model_store.glob("*"))
    refused_for = json.loads((request.work_dir / "report.json").read_text())["refused"]
    assert len(refused_for) == len(limits)
    assert "no teacher to compare with" in (request.work_dir / "report.html").read_text()


def test_defaults_that_nobody_gave_and_floors_of_nothing_ask_for_nothing() -> None:
    nothing = Gate(min_retention_map50=0.0, min_recall_retention=0.0)

    alone = [check_all(LABELLED, gate) for gate in (Gate(), nothing)]
    dead = check_all(pair(0, teacher=0), nothing)

    assert [[one.rule for one in checks] for checks in alone] == [["max_file_mb"]] * 2
    assert {one.verdict for one in dead} == {"reported"}


def test_a_teacher_that_finds_nothing_is_no_standard() -> None:
    complaints = refused(
        pair(0, teacher=0),
        min_retention_map50_95=0.5,
        min_class_retention_map50=0.5,
        min_recall_retention=0.5,
    )

    assert complaints.keys() == {
        "min_retention_map50",
        "min_retention_map50_95",
        "min_class_retention_map50",
        "min_recall_retention",
    }
    assert all("the teacher's is 0" in complaint for complaint in complaints.values())


def test_images_without_an_object_show_nothing() -> None:
    junk = measured(tuple(image((0.9, False), labels=0) for _ in range(IMAGES)))
    evidence = Evidence(held=HELD, student=junk, teacher=junk, live=junk)

    complaints = refused(evidence, min_recall_retention=0.9, max_live_drop_map50_95=0.5)

    assert complaints.keys() == {
        "min_retention_map50",
        "min_recall_retention",
        "max_live_drop_map50_95",
    }


def crowded(images: int, found: int, objects: int) -> tuple[ImageMatches, ...]:
    """A detector of a class that lies in the first images alone, `objects` in each."""
    crowd = image(*[(0.9, True)] * found, labels=objects)
    return tuple(crowd if place < images else image(labels=0) for place in range(IMAGES))


def crowds(images: int, **limits: Any) -> Check:
    evidence = Evidence(
        held=HELD,
        student=measured(crowded(images, 20, 25)),
        teacher=measured(crowded(images, 25, 25)),
    )
    return judged(evidence, "min_class_retention_map50", min_class_retention_map50=0.7, **limits)


def test_many_objects_in_few_images_have_no_bound() -> None:
    alone = crowds(1, confidence=0.95)
    figure = crowds(1)
    enough = crowds(10, confidence=0.95)

    assert alone.verdict_text == "not judged: in 1 images, and a bound needs 10"
    assert figure.verdict == "passed"
    assert figure.measured is not None
    assert np.isnan(figure.measured.low)
    assert enough.verdict == "passed"
    assert "250 objects in 10 images" in enough.detail


def test_all_classes_together_in_few_images_are_refused_where_a_bound_is_asked_for() -> None:
    few = Evidence(
        held=HELD,
        student=measured(crowded(9, 25, 25)),
        teacher=measured(crowded(9, 25, 25)),
    )

    complaints = refused(few, confidence=0.95, min_recall_retention=0.9)

    assert complaints.keys() == {"min_retention_map50", "min_recall_retention"}
    assert (
        "a bound needs 10 images that tell of it (gate.min_images), not 9"
        in (complaints["min_retention_map50"])
    )
    refuse_failed(check_all(few, Gate(min_recall_retention=0.9)))


def test_resamples_that_say_nothing_do_not_lift_a_bound() -> None:
    # 0.98 ** 100 = 13% of the resamples draw neither of the two images that hold anything.
    rare = Evidence(
        held=HELD,
        student=measured(crowded(2, 25, 25)),
        teacher=measured(crowded(2, 25, 25)),
    )

    check = judged(rare, "min_retention_map50", confidence=0.95, min_images=2)

    assert check.verdict == "refused"
    assert "too many resamples" in check.missing


def frames(count: int, *, pairs: int = 4, missed: int = 0, silent: int = 0) -> Accord:
    heard = Agreement(1, pairs, missed, 0, 1.0, 0.0)
    return Accord.of([heard] * count + [Agreement(1, 0, 0, 0, 1.0, 0.0)] * silent, 1000)


@pytest.mark.parametrize(
    ("accord", "why"),
    [
        (frames(0, silent=200), "it needs 50 boxes of the teacher (gate.min_frame_boxes), not 0"),
        (frames(1), "it needs 100 frames (gate.min_frames), not 1"),
        (frames(99), "it needs 100 frames (gate.min_frames), not 99"),
        (frames(12, silent=100), "it needs 50 boxes of the teacher (gate.min_frame_boxes), not 48"),
        (frames(9, pairs=40, silent=100), "a bound needs 10 images that tell of it"),
    ],
)
def test_silence_and_a_handful_of_frames_are_no_agreement(accord: Accord, why: str) -> None:
    complaints = refused(Evidence(accord=accord))

    assert complaints.keys() == {"min_agreement_f1"}
    assert why in complaints["min_agreement_f1"]


def test_enough_frames_with_enough_boxes_decide() -> None:
    found = frames(90, pairs=4, missed=1, silent=10)

    check = judged(Evidence(accord=found), "min_agreement_f1")

    assert check.verdict == "passed"
    assert check.detail == "100 frames, 450 boxes of the teacher"
    assert check.measured is not None
    assert check.measured.value == pytest.approx(8 / 9)


def test_no_box_anywhere_is_no_f1() -> None:
    silent = frames(0, silent=100)

    assert np.isnan(silent.value)
    assert np.isnan(silent.drawn).all()


def test_a_bound_needs_resamples_beyond_it() -> None:
    with pytest.raises(ValidationError, match="give resamples: 10000 or more"):
        Gate(confidence=0.999)

    assert Gate(confidence=0.999, resamples=10_000).confidence == 0.999
    assert Gate(confidence=0.95, resamples=200).resamples == 200
