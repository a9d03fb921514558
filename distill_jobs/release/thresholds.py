"""A student's operating thresholds: as precise as its teacher, or as many detections.

Of each class the student gets the lowest threshold at which its precision on the validation split
(at IoU 0.5) is no lower than its teacher's at the teacher's own threshold: the lowest, since every
detection more is recall, but at most twice the teacher's. A student that would fall silent, with
less than half of its teacher's detections, gets as many as the teacher instead, and so does one
whose teacher is never right: anything is as precise as that. Thresholds lie half way between two
scores, rounded only where that moves none across.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distill_jobs.recipe.thresholds import Thresholds
from distill_jobs.release.matches import ImageMatches
from distill_jobs.release.operating import Operating

_LOWEST = 0.01
# Of the teacher's detections: fewer is silence, more is a flood, however precise.
_MIN_SHARE_OF_DETECTIONS, _MAX_SHARE_OF_DETECTIONS = 0.5, 2
_DIGITS = 4


@dataclass(frozen=True)
class Point:
    """A detector at its threshold of one class, on the validation split.

    Attributes:
        threshold: Lowest score that counts.
        detections: How many count.
        found: How many of them find a label, each its own, at IoU 0.5.
    """

    threshold: float
    detections: int
    found: int

    @property
    def precision(self) -> float | None:
        """The share of the detections that is right; None without any."""
        return self.found / self.detections if self.detections else None


@dataclass(frozen=True)
class ClassThreshold:
    """Why a class's threshold is what it is.

    Attributes:
        class_id: Its id.
        name: Its name.
        instances: Labels in the validation split.
        matched: "precision", "count" or "default".
        note: Why it is not what the job asked for; "" where it is.
        threshold: Of the student.
        student: At its threshold; None where nothing was measured.
        teacher: At the teacher's own; likewise.
    """

    class_id: int
    name: str
    instances: int
    matched: str
    note: str
    threshold: float
    student: Point | None = None
    teacher: Point | None = None


@dataclass(frozen=True)
class _Choice:
    threshold: float
    matched: str
    note: str


def match_thresholds(
    student: Sequence[ImageMatches],
    teacher: Sequence[ImageMatches],
    teacher_thresholds: npt.NDArray[np.float32],
    class_names: Sequence[str],
    rules: Thresholds,
) -> tuple[ClassThreshold, ...]:
    """Choose a student's operating thresholds on the validation split.

    Args:
        student: Its matches, one an image; never of the images that the gate judges by.
        teacher: The teacher's on the same images.
        teacher_thresholds: float32 [C], the teacher's operating thresholds.
        class_names: Index = class id.
        rules: What is matched.

    Returns:
        One a class.
    """
    theirs = Operating.of(teacher, teacher_thresholds)
    instances = theirs.labels.sum(axis=0)
    together = _for_all(student, theirs, rules)
    choices = [
        _for_class(student, theirs, class_id, rules)
        if instances[class_id] >= rules.min_instances
        else _borrowed(together, int(instances[class_id]), rules)
        for class_id in range(len(class_names))
    ]
    ours = Operating.of(student, np.array([one.threshold for one in choices], np.float32))
    return tuple(
        ClassThreshold(
            class_id=class_id,
            name=name,
            instances=int(instances[class_id]),
            matched=choice.matched,
            note=choice.note,
            threshold=choice.threshold,
            student=_point(ours, class_id, choice.threshold),
            teacher=_point(theirs, class_id, float(teacher_thresholds[class_id])),
        )
        for class_id, (name, choice) in enumerate(zip(class_names, choices, strict=True))
    )


def keep_default(
    class_names: Sequence[str], rules: Thresholds, why: str
) -> tuple[ClassThreshold, ...]:
    """Return the default for every class, and why."""
    return tuple(
        ClassThreshold(class_id, name, 0, "default", why, rules.default)
        for class_id, name in enumerate(class_names)
    )


def _for_all(student: Sequence[ImageMatches], theirs: Operating, rules: Thresholds) -> _Choice:
    instances = int(theirs.labels.sum())
    if instances < rules.min_instances:
        note = f"{instances} labels of all classes, fewer than {rules.min_instances}"
        return _Choice(rules.default, "default", note)
    return _matched(_Scored.of(student, None), theirs, rules)


def _for_class(
    student: Sequence[ImageMatches], theirs: Operating, class_id: int, rules: Thresholds
) -> _Choice:
    return _matched(_Scored.of(student, class_id), theirs.of_class(class_id), rules)


def _borrowed(together: _Choice, instances: int, rules: Thresholds) -> _Choice:
    note = f"{instances} labels, fewer than {rules.min_instances}: all classes together"
    return _Choice(
        together.threshold, together.matched, f"{note}; {together.note}" if together.note else note
    )


def _matched(scored: "_Scored", theirs: Operating, rules: Thresholds) -> _Choice:
    raised, found = int(theirs.raised.sum()), int(theirs.found.sum())
    silent = "the teacher" if not raised else "" if scored.scores.size else "the student"
    if silent or rules.match == "none":
        note = f"{silent} detects nothing" if silent else ""
        return _Choice(rules.default, "default", note)
    if rules.match == "count":
        return _Choice(scored.threshold_of(raised), "count", "")
    if not found:
        note = f"none of the teacher's {raised} detections is right: there is no precision to match"
        return _Choice(scored.threshold_of(raised), "count", note)
    return _as_precise(scored, found, raised)


def _as_precise(scored: "_Scored", found: int, raised: int) -> _Choice:
    wanted, most = scored.as_precise_as(found, raised), _MAX_SHARE_OF_DETECTIONS * raised
    kept = scored.as_precise_as(found, raised, most=most)
    note = (
        f"as precise as the teacher ({found / raised:.3f}) it would give {wanted} detections to "
        f"the teacher's {raised}"
    )
    if kept < _MIN_SHARE_OF_DETECTIONS * raised:
        return _Choice(scored.threshold_of(raised), "count", note)
    if wanted > most:
        note = f"{note}: held to {_MAX_SHARE_OF_DETECTIONS} times as many"
    return _Choice(scored.threshold_of(kept), "precision", note if wanted > most else "")


def _point(operating: Operating, class_id: int, threshold: float) -> Point:
    one = operating.of_class(class_id)
    return Point(threshold, int(one.raised.sum()), int(one.found.sum()))


@dataclass(frozen=True)
class _Scored:
    """A detector's detections that a threshold may keep, by falling score, of a class or of all.

    Attributes:
        scores: float64 [K].
        right: bool [K]: whether each finds a label.
    """

    scores: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, matches: Sequence[ImageMatches], class_id: int | None) -> "_Scored":
        class_ids = np.concatenate([one.class_ids for one in matches])
        wanted = np.ones(len(class_ids), bool) if class_id is None else class_ids == class_id
        every = np.concatenate([one.scores for one in matches]).astype(np.float64)
        wanted &= every >= _LOWEST
        scores = every[wanted]
        right = np.concatenate([one.hits[:, 0] for one in matches])[wanted]
        order = np.argsort(-scores, kind="stable")
        return cls(scores[order], right[order])

    def as_precise_as(self, found: int, raised: int, most: int | None = None) -> int:
        """Return how many of the best, at most, are as precise as `found` of `raised`; 0 for none.

        In whole numbers: `found / raised * raised` need not be `found` again.
        """
        counts = np.arange(1, len(self.scores) + 1)
        lower = np.append(self.scores[1:], -1.0)
        good = (self.right.cumsum() * raised >= found * counts) & (lower < self.scores)
        places = np.flatnonzero(good[:most])
        return int(places[-1]) + 1 if places.size else 0

    def threshold_of(self, count: int) -> float:
        """Return the threshold that keeps `count` detections, or all where there are fewer."""
        last = self.scores[min(count, len(self.scores)) - 1]
        below = self.scores[self.scores < last]
        lower = below[0] if below.size else 0.0
        # As float32, in which scores are given and thresholds are held against them.
        middle = float(max(np.float32((last + lower) / 2), np.float32(_LOWEST)))
        for threshold in (round(middle, _DIGITS), middle):
            if lower < np.float32(threshold) <= last and threshold >= _LOWEST:
                return threshold
        return float(last)
