from dataclasses import replace
from pathlib import Path

import pytest

from distill_jobs.job import Job
from distill_jobs.release.evaluate import ClassQuality, Quality
from distill_jobs.results import ModelResult, VariantFigures
from distill_jobs.study.diagnosis import diagnose
from distill_jobs.study.symptoms import Symptoms
from distill_jobs.tracking.curves import Curves


def quality(map50_95, cat=None):
    classes = (
        ClassQuality(0, "cat", 50, 0.9, map50_95 if cat is None else cat),
        ClassQuality(1, "dog", 50, 0.9, map50_95),
    )
    return Quality(0.9, map50_95, 20, 100, classes)


def model(role, parameters, map50_95=0.6, variants=(), left_out=None):
    return ModelResult(
        role=role,
        checkpoint=Path("x.pt"),
        checkpoint_bytes=1,
        parameters=parameters,
        train_seconds=1,
        map50=0.9,
        map50_95=map50_95,
        images=20,
        archive=None,
        signature=None,
        archive_bytes=0,
        variants=tuple(variants),
        left_out=left_out or {},
    )


def int8(map50_95):
    return VariantFigures("onnxruntime-int8", 1, 0.9, map50_95, 1, 1, 1, 1)


@pytest.fixture
def healthy(write_job):
    epochs = tuple(range(1, 9))
    columns = {
        "metrics/mAP50-95(B)": (0.2, 0.3, 0.4, 0.5, 0.55, 0.59, 0.595, 0.598),
        "train/box_loss": (1.0,) * 8,
        "train/class_distill": (0.25,) * 8,
        "teacher_weight": (0.0, 0.5, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5),
    }
    return Symptoms(
        job=Job.load(write_job()),
        teacher=model("teacher", 3_000_000, 0.62),
        student=model("student", 1_000_000, 0.6, [int8(0.598)]),
        quality={
            ("teacher", "train"): quality(0.70),
            ("teacher", "val"): quality(0.62),
            ("student", "train"): quality(0.66),
            ("student", "val"): quality(0.60),
        },
        hard_share=0.3,
        curves=Curves(epochs, columns),
        images=100,
    )


def suspicious(symptoms):
    return [one.name for one in diagnose(symptoms) if one.suspicious]


def with_quality(symptoms, **changed):
    keys = {tuple(name.split("_")): value for name, value in changed.items()}
    return replace(symptoms, quality={**symptoms.quality, **keys})


def with_curve(symptoms, **changed):
    return replace(
        symptoms, curves=replace(symptoms.curves, columns={**symptoms.curves.columns, **changed})
    )


def test_a_healthy_run_shows_every_number_and_nothing_suspicious(healthy):
    found = {one.name: one.measured for one in diagnose(healthy)}

    assert suspicious(healthy) == []
    assert found["student behind its teacher"] == "keeps 96.8% of mAP50-95 on val"
    assert found["teacher overfit"] == "train 70.0, val 62.0: +8.0 points"
    assert found["capacity gap"] == "the teacher has 3.0 times the parameters"
    assert found["alpha: how loud the teacher is"] == "20% of the loss while it is heard"
    assert found["precision: onnxruntime-int8"] == "-0.20 points of mAP50-95, held-out images"
    assert len(found) == 12


def test_an_overfit_teacher(healthy):
    assert suspicious(with_quality(healthy, teacher_train=quality(0.9))) == ["teacher overfit"]


def test_a_teacher_with_nothing_to_teach(healthy):
    weak = with_quality(healthy, teacher_val=quality(0.6), teacher_train=quality(0.65))

    assert suspicious(weak) == ["teacher has something to teach"]


def test_a_student_far_behind_that_learnt_its_images_by_heart(healthy):
    found = suspicious(with_quality(healthy, student_val=quality(0.5)))

    assert found == ["student behind its teacher", "student overfit"]


def test_a_training_that_still_rose(healthy):
    rising = (0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6)

    found = with_curve(healthy, **{"metrics/mAP50-95(B)": rising})

    assert suspicious(found) == ["training ended too early"]


@pytest.mark.parametrize("loss", [0.01, 4.0])
def test_a_teacher_too_soft_spoken_or_too_loud(healthy, loss):
    found = suspicious(with_curve(healthy, **{"train/class_distill": (loss,) * 8}))

    assert found == ["alpha: how loud the teacher is"]


def test_a_convex_total_takes_from_the_students_own_losses_what_it_gives(healthy, write_job):
    text = "schedule: {warmup_epochs: 1, ramp_epochs: 0, decay: none}"
    convex = write_job((text, "schedule: {mode: convex, warmup_epochs: 0, ramp_epochs: 0}"))
    job = replace(healthy, job=Job.load(convex))
    loud = {"train/class_distill": (0.05,) * 8, "teacher_weight": (0.7,) * 8}

    found = {one.name: one for one in diagnose(with_curve(job, **loud))}

    told = found["alpha: how loud the teacher is"]
    assert told.measured == "14% of the loss while it is heard"  # .05 of .3 · 1 + .05
    assert not told.suspicious


def test_a_teacher_that_is_heard_too_briefly(healthy):
    brief = (0.0, 0.0, 0.0, 0.0, 1.0, 0.2, 0.1, 0.1)

    assert suspicious(with_curve(healthy, teacher_weight=brief)) == [
        "alpha: how long the teacher is heard"
    ]


def test_a_teacher_as_hard_as_labels_and_too_large(healthy):
    hard = replace(healthy, hard_share=0.95, teacher=model("teacher", 11_000_000, 0.62))

    assert suspicious(hard) == ["temperature: how soft the teacher is", "capacity gap"]


def test_quantization_that_costs_too_much_and_a_variant_that_was_refused(healthy):
    lossy = model("student", 1_000_000, 0.6, [int8(0.58)], {"torchscript-fp32": "F1 0.5"})

    found = [one for one in diagnose(replace(healthy, student=lossy)) if one.suspicious]

    assert [one.name for one in found] == [
        "precision: onnxruntime-int8",
        "precision: torchscript-fp32",
    ]
    assert "F1 0.5" in found[1].advice


def test_one_class_that_lags_and_broken_images(healthy):
    lagging = with_quality(healthy, student_val=quality(0.6, cat=0.4))

    assert suspicious(replace(lagging, skipped_images=5)) == ["one class lags", "broken images"]


def test_what_was_not_measured_is_not_judged(healthy):
    bare = replace(healthy, quality={}, hard_share=None, curves=None, images=0)

    assert [one.name for one in diagnose(bare)] == ["capacity gap", "precision: onnxruntime-int8"]
