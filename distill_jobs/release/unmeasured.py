"""Limits that a job gives and that nothing was measured for: they refuse, and say what is missing.

A limit that vanished with its figure would release the very student it was written against.
"""

from collections.abc import Callable, Iterator, Mapping, Set

from distill_jobs.recipe.release import Gate
from distill_jobs.release.checks import Check, Unit
from distill_jobs.release.evidence import Evidence

_NO_LABELS = "there are no labelled images: give a data set with labels"
_NO_TEACHER = "there is no teacher to compare with: give one"
_NO_FRAMES = "the frames of gate.frames are what it is measured on: give them, and a teacher"
_NO_LIVE = "there is no live model to compare with: give its archive as gate.live"


def unmeasured(evidence: Evidence, gate: Gate, judged: Set[str]) -> Iterator[Check]:
    """Check what no rule could.

    Args:
        evidence: What was measured.
        gate: The limits; a default that nobody gave is not asked for where it does not apply.
        judged: The names of the limits that rules have checked.

    Yields:
        A check without a figure for each other limit.
    """
    for rule, (what, unit, why) in _LIMITS.items():
        check = Check(rule, "", what, None, getattr(gate, rule), unit, missing=why(evidence))
        if rule not in judged and rule in gate.model_fields_set and check.asks:
            yield check


def _against_teacher(evidence: Evidence) -> str:
    return _NO_LABELS if evidence.student is None else _NO_TEACHER


def _against_live(evidence: Evidence) -> str:
    return _NO_LABELS if evidence.student is None else _NO_LIVE


def _in_accord(evidence: Evidence) -> str:
    return _NO_FRAMES if evidence.accord is None else _NO_LIVE


def _side_by_side(evidence: Evidence) -> str:
    if evidence.file_bytes is None:
        return "no exported file passed"
    return f"the teacher's own files were not measured: {_NO_TEACHER}"


# The default variant's own size is missing only where none passed, and so is the release.
_LIMITS: Mapping[str, tuple[str, Unit, Callable[[Evidence], str]]] = {
    "min_retention_map50": ("mAP50 over the teacher's", "%", _against_teacher),
    "min_retention_map50_95": ("mAP50-95 over the teacher's", "%", _against_teacher),
    "min_class_retention_map50": ("each class's AP50 over the teacher's", "%", _against_teacher),
    "min_size_retention_map50_95": ("each size's mAP50-95 over it", "%", _against_teacher),
    "min_recall_retention": ("recall over the teacher's", "%", _against_teacher),
    "min_precision_retention": ("precision over the teacher's", "%", _against_teacher),
    "max_live_drop_map50_95": ("mAP50-95 below the live model's", "points", _against_live),
    "max_live_drop_f1": ("agreement (F1) below the live model's", "points", _in_accord),
    "min_agreement_f1": ("agreement (F1) with the teacher", "%", _in_accord),
    "max_size_ratio": ("bytes over the teacher's", "times", _side_by_side),
    "max_latency_ratio": ("time for one image over the teacher's", "times", _side_by_side),
}
