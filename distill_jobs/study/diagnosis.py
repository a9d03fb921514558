"""Why is the student so far behind? Each check: a number, its limit, and what to try.

The limits are rules of thumb, not laws: they say where to look first. Where a source gave one, its
check names it.
"""

from collections.abc import Iterator

from distill_jobs.study import learning_checks, teaching_checks
from distill_jobs.study.finding import Finding
from distill_jobs.study.symptoms import Symptoms


def diagnose(symptoms: Symptoms) -> list[Finding]:
    """Hold a run's figures against the limits; what was not measured is not judged."""
    checks = (
        learning_checks.kept,
        learning_checks.teacher_ahead,
        learning_checks.teacher_overfit,
        learning_checks.student_overfit,
        learning_checks.unfinished,
        teaching_checks.alpha_epochs,
        teaching_checks.alpha_share,
        teaching_checks.softness,
        teaching_checks.capacity,
        _quantization,
        learning_checks.classes,
        _data,
    )
    return [finding for check in checks for finding in check(symptoms)]


def _quantization(symptoms: Symptoms) -> Iterator[Finding]:
    # The release's figures, which its report shows: no model is asked about held-out images here.
    whole, limit = symptoms.student.map50_95, symptoms.job.gate.max_int8_drop_map50_95
    for variant in symptoms.student.variants:
        if whole is None or variant.map50_95 is None or variant.name.endswith("-fp32"):
            continue
        drop = 100 * (whole - variant.map50_95)
        yield Finding(
            f"precision: {variant.name}",
            f"{-drop:+.2f} points of mAP50-95, held-out images",
            f"at least {-100 * limit:+.2f}",
            drop > 100 * limit,
            "calibrate on more images of the train split, or fine-tune with quantization in the "
            "loop (qat)",
        )
    for name, reason in symptoms.student.left_out.items():
        yield Finding(
            f"precision: {name}",
            "left out of the card",
            "in the card",
            suspicious=True,
            advice=f"the gate said: {reason}",
        )


def _data(symptoms: Symptoms) -> Iterator[Finding]:
    if not symptoms.images:
        return
    share = symptoms.skipped_images / symptoms.images
    yield Finding(
        "broken images",
        f"{symptoms.skipped_images} of {symptoms.images} skipped",
        "at most 1%",
        share > 0.01,
        "data_faults.json in the run's folder lists them: mend or remove them",
    )
