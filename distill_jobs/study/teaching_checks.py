"""How long, how loud, how softly and from how far above the teacher speaks."""

from collections.abc import Iterator

from distill_jobs.study.finding import Finding
from distill_jobs.study.symptoms import Symptoms
from distill_jobs.tracking.curves import ALPHA, Curves

_TASK_LOSSES = frozenset({"box_loss", "cls_loss", "dfl_loss"})


def alpha_epochs(symptoms: Symptoms) -> Iterator[Finding]:
    """Judge in how many epochs the teacher had at least half its weight."""
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


def alpha_share(symptoms: Symptoms) -> Iterator[Finding]:
    """Judge how much of the loss came from the teacher while it was heard."""
    distillation = symptoms.job.distillation
    if symptoms.curves is None or distillation is None:
        return
    convex = distillation.schedule.mode == "convex"
    task, distilled = _heard(symptoms.curves, convex=convex)
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


def _heard(curves: Curves, *, convex: bool) -> tuple[float, float]:
    """Add up the student's own losses and the teachers' over the epochs in which α is above 0.

    Curves hold the teachers' shares with α, and the student's own losses without their weight,
    h = 1 - α where the total is convex.
    """
    task = distilled = 0.0
    alphas = curves.columns.get(ALPHA, ())
    for name, by_split in curves.losses().items():
        for value, alpha in zip(by_split.get("train", ()), alphas, strict=False):
            if alpha > 0 and name in _TASK_LOSSES:
                task += value * (1 - alpha) if convex else value
            elif alpha > 0 and name.endswith("_distill"):
                distilled += value
    return task, distilled


def softness(symptoms: Symptoms) -> Iterator[Finding]:
    """Judge whether the teacher's scores say more than labels do."""
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


def capacity(symptoms: Symptoms) -> Iterator[Finding]:
    """Judge how many times larger the teacher is."""
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
