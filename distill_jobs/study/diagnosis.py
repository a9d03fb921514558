"""Why is the student so far behind? Each check: a number, its limit, and what to try.

The limits are rules of thumb, not laws: they say where to look first. Where a source gave one, its
check names it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from distill_jobs.study.symptoms import Symptoms
from distill_jobs.tracking.curves import ALPHA, MAP50_95

_TASK_LOSSES = frozenset({"box_loss", "cls_loss", "dfl_loss"})
_FEWEST_LABELS = 20


@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes:
        name: What was looked at.
        measured: The number.
        limit: Where it should lie.
        suspicious: Whether it does not.
        advice: What to try then; the key of the job file where there is one.
    """

    name: str
    measured: str
    limit: str
    suspicious: bool
    advice: str


def diagnose(symptoms: Symptoms) -> list[Finding]:
    """Hold a run's figures against the limits; what was not measured is not judged."""
    checks = (
        _kept,
        _teacher_ahead,
        _teacher_overfit,
        _student_overfit,
        _unfinished,
        _alpha_epochs,
        _alpha_share,
        _softness,
        _capacity,
        _quantization,
        _classes,
        _data,
    )
    return [finding for check in checks for finding in check(symptoms)]


def _kept(symptoms: Symptoms) -> Iterator[Finding]:
    teacher, student = _map(symptoms, "teacher", "val"), _map(symptoms, "student", "val")
    if teacher is None or student is None or not teacher:
        return
    kept = student / teacher
    yield Finding(
        "student behind its teacher",
        f"keeps {100 * kept:.1f}% of mAP50-95 on val",
        "at least 95%",
        kept < 0.95,
        "the other checks marked `look` say where to begin; where none is, take a larger "
        "student (student.width, student.architecture)",
    )


def _teacher_ahead(symptoms: Symptoms) -> Iterator[Finding]:
    teacher, student = _map(symptoms, "teacher", "val"), _map(symptoms, "student", "val")
    if teacher is None or student is None:
        return
    ahead = 100 * (teacher - student)
    yield Finding(
        "teacher has something to teach",
        f"{ahead:+.1f} points of mAP50-95 on val",
        "at least +1",
        ahead < 1,
        "train the teacher longer or take a larger one: a student that is as good learns "
        "nothing from it",
    )


def _teacher_overfit(symptoms: Symptoms) -> Iterator[Finding]:
    train, val = _map(symptoms, "teacher", "train"), _map(symptoms, "teacher", "val")
    if train is None or val is None:
        return
    gap = 100 * (train - val)
    yield Finding(
        "teacher overfit",
        f"train {100 * train:.1f}, val {100 * val:.1f}: {gap:+.1f} points",
        "at most +15",
        gap > 15,
        "its answers on the training images are the labels over again: train it for fewer epochs "
        "(teacher.train.epochs, patience), with more augmentation (mosaic, scale), or give "
        "images that it never saw (data.unlabelled)",
    )


def _student_overfit(symptoms: Symptoms) -> Iterator[Finding]:
    train, val = _map(symptoms, "student", "train"), _map(symptoms, "student", "val")
    if train is None or val is None:
        return
    gap = 100 * (train - val)
    yield Finding(
        "student overfit",
        f"train {100 * train:.1f}, val {100 * val:.1f}: {gap:+.1f} points",
        "at most +15",
        gap > 15,
        "more images (data.unlabelled takes those without labels), more augmentation "
        "(training.mosaic, scale), or fewer epochs (training.patience)",
    )


def _unfinished(symptoms: Symptoms) -> Iterator[Finding]:
    curves = symptoms.curves
    values = curves.columns.get(MAP50_95, ()) if curves else ()
    if len(values) < 4:
        return
    quarter = max(1, len(values) // 4)
    rise = 100 * (max(values[-quarter:]) - max(values[:-quarter]))
    yield Finding(
        "training ended too early",
        f"last {quarter} epochs gained {rise:+.1f} points",
        "at most +1",
        rise > 1,
        "raise training.epochs: distillation needs longer than plain training",
    )


def _alpha_epochs(symptoms: Symptoms) -> Iterator[Finding]:
    curves = symptoms.curves
    alphas = curves.columns.get(ALPHA, ()) if curves else ()
    if not alphas or symptoms.job.distillation is None:
        return
    strong = sum(alpha >= 0.5 * max(alphas) > 0 for alpha in alphas) / len(alphas)
    yield Finding(
        "alpha: how long the teacher is heard",
        f"{100 * strong:.0f}% of epochs at half its weight or more",
        "at least 30%",
        strong < 0.3,
        "shorten distillation.schedule.warmup_epochs and ramp_epochs, raise final, or train for "
        "more epochs",
    )


def _alpha_share(symptoms: Symptoms) -> Iterator[Finding]:
    if symptoms.curves is None or symptoms.job.distillation is None:
        return
    task = distilled = 0.0
    alphas = symptoms.curves.columns.get(ALPHA, ())
    for name, by_split in symptoms.curves.losses().items():
        heard = [
            value
            for value, alpha in zip(by_split.get("train", ()), alphas, strict=False)
            if alpha > 0
        ]
        if name in _TASK_LOSSES:
            task += sum(heard)
        elif name.endswith("_distill"):
            distilled += sum(heard)
    if not task + distilled > 0:
        return
    share = distilled / (task + distilled)
    yield Finding(
        "alpha: how loud the teacher is",
        f"{100 * share:.0f}% of the loss while it is heard",
        "5% to 60%",
        not 0.05 <= share <= 0.6,
        "raise the weights in distillation.losses"
        if share < 0.05
        else "lower the weights in distillation.losses, or schedule.start: the labels drown",
    )


def _softness(symptoms: Symptoms) -> Iterator[Finding]:
    distillation, hard = symptoms.job.distillation, symptoms.hard_share
    if distillation is None or hard is None:
        return
    now = f"temperature.start is {distillation.temperature.start:g}"
    advice = (
        f"raise distillation.temperature ({now}), or stop the teacher's training earlier"
        if distillation.losses.dfl
        else "class distillation of sigmoid heads has no temperature: stop the teacher's training "
        "earlier, or learn from features too (distillation.losses.cwd)"
    )
    yield Finding(
        "temperature: how soft the teacher is",
        f"{100 * hard:.0f}% of its detections score 0.95 or more",
        "at most 80%",
        hard > 0.8,
        f"its answers say no more than labels do: {advice}",
    )


def _capacity(symptoms: Symptoms) -> Iterator[Finding]:
    ratio = symptoms.teacher.parameters / symptoms.student.parameters
    yield Finding(
        "capacity gap",
        f"the teacher has {ratio:.1f} times the parameters",
        "at most 4 times",
        ratio > 4,
        "distil in two steps, through a model in between (Mirzadeh et al., Improved Knowledge "
        "Distillation via Teacher Assistant, AAAI 2020), take a smaller teacher, or learn "
        "from features (distillation.losses.pkd: 6)",
    )


def _quantization(symptoms: Symptoms) -> Iterator[Finding]:
    whole, limit = symptoms.student.map50_95, symptoms.job.gate.max_int8_drop_map50_95
    for variant in symptoms.student.variants:
        if whole is None or variant.map50_95 is None or variant.name.endswith("-fp32"):
            continue
        drop = 100 * (whole - variant.map50_95)
        yield Finding(
            f"precision: {variant.name}",
            f"{-drop:+.2f} points of mAP50-95",
            f"at least {-100 * limit:+.2f}",
            drop > 100 * limit,
            "calibrate on more images of the train split, or fine-tune with quantization in the "
            "loop",
        )
    for name, reason in symptoms.student.left_out.items():
        yield Finding(
            f"precision: {name}",
            "left out of the card",
            "in the card",
            suspicious=True,
            advice=f"the gate said: {reason}",
        )


def _classes(symptoms: Symptoms) -> Iterator[Finding]:
    teacher = symptoms.quality.get(("teacher", "val"))
    student = symptoms.quality.get(("student", "val"))
    if teacher is None or student is None or not teacher.map50_95:
        return
    own = {one.class_id: one.ap50_95 for one in student.per_class}
    kept = {
        one.name: own.get(one.class_id, 0.0) / one.ap50_95
        for one in teacher.per_class
        if one.objects >= _FEWEST_LABELS and one.ap50_95 > 0
    }
    if len(kept) < 2:
        return
    worst = min(kept, key=lambda name: kept[name])
    behind = 100 * (student.map50_95 / teacher.map50_95 - kept[worst])
    yield Finding(
        "one class lags",
        f"{worst} keeps {100 * kept[worst]:.1f}%, {behind:.1f} points below the mean",
        "at most 10 points",
        behind > 10,
        f"more images of {worst}: labelled ones, or harvested (understudy job redistil)",
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


def _map(symptoms: Symptoms, role: str, split: str) -> float | None:
    quality = symptoms.quality.get((role, split))
    return quality.map50_95 if quality is not None and quality.objects else None
