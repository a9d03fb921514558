"""Models compared on the same images: is one better, or was it luck?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_jobs.data.dataset import Dataset, Sample
from distill_jobs.errors import JobError
from distill_jobs.progress import Reporter
from distill_jobs.release.average_precision import Counts, Floats, classes_present
from distill_jobs.release.bootstrap import Precisions, as_they_are, draw, interval
from distill_jobs.release.evaluate import match_all
from distill_jobs.run_folder import RunFolder
from distill_jobs.study.looks import look

RESAMPLES = 1000
_SEED = 0
# One-sided, so that both bounds together hold 95%.
_CONFIDENCE = 0.975


@dataclass(frozen=True)
class Difference:
    """A student against the first run's, image by image.

    Attributes:
        run: Its run's name.
        images: How many images both answered.
        map50_95: Its own, 0 to 1.
        gain: Its mAP50-95 less the first run's.
        low: Lower bound of the gain, 95% between the bounds.
        high: Upper bound.
        better: Share of the resamples in which it is ahead, 0 to 1.
    """

    run: str
    images: int
    map50_95: float
    gain: float
    low: float
    high: float
    better: float

    @property
    def verdict(self) -> str:
        """What the bounds allow one to say."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "no telling"


def differences(
    runs: Sequence[tuple[str, RunFolder]], split: str, reporter: Reporter
) -> list[Difference]:
    """Compare the students of several runs by the paired bootstrap.

    Images are drawn again and again, the same ones for all runs, so what makes an image hard for
    every student cancels.

    Args:
        runs: Name and folder of at least two, with finished students; the first is the yardstick.
        split: "val" or "test".
        reporter: Told of progress.

    Returns:
        One for each run after the first.

    Raises:
        JobError: The runs have no such split in common, their classes differ, or a student is not
            finished.
    """
    samples = _common_samples([run for _, run in runs], split)
    drawn = draw(images=len(samples), resamples=RESAMPLES, seed=_SEED)
    scores = [_scores(run, samples, drawn, reporter) for _, run in runs]
    first_whole, first_drawn = scores[0]
    found = []
    for (name, _), (whole, resampled) in zip(runs[1:], scores[1:], strict=True):
        gains = resampled - first_drawn
        low, high = interval(gains, _CONFIDENCE)
        found.append(
            Difference(
                run=name,
                images=len(samples),
                map50_95=whole,
                gain=whole - first_whole,
                low=low,
                high=high,
                better=float((gains > 0).mean()),
            )
        )
    return found


def _scores(
    run: RunFolder, samples: Sequence[Sample], drawn: Counts, reporter: Reporter
) -> tuple[float, Floats]:
    if not run.checkpoint("student").exists():
        raise JobError(f"{run.path}: has no finished student to compare")
    matches = match_all(look(run, "student", samples, reporter), samples)
    present = classes_present(matches)
    whole = Precisions.of(matches, present, as_they_are(len(matches)))
    return float(whole.map50_95[0]), Precisions.of(matches, present, drawn).map50_95


def _common_samples(runs: Sequence[RunFolder], split: str) -> tuple[Sample, ...]:
    """Return the first run's images of the split, which every run must have, labelled the same.

    Raises:
        JobError: They differ, or what is asked of the models in them does.
    """
    locks = [_lock(run) for run in runs]
    files = [_digests(lock, split) for lock in locks]
    for run, lock, own in zip(runs, locks, files, strict=True):
        if not own:
            raise JobError(f"{run.path}: its data.lock has no {split} split")
        if own != files[0]:
            raise JobError(
                f"{run.path} and {runs[0].path} have different {split} splits ({len(own)} and "
                f"{len(files[0])} images and label files): figures on different images cannot be "
                f"subtracted. {_REMEDY}"
            )
        if _classes(lock) != _classes(locks[0]):
            raise JobError(
                f"{run.path} and {runs[0].path} give the same images different classes "
                f"({_told(lock)}; {_told(locks[0])}): what one student is asked to find is not "
                f"what the other is. {_REMEDY}, with one `data.classes`, or none"
            )
    return Dataset.load(runs[0].data / "data.yaml").split(split)


_REMEDY = "Compare runs of one data set"


def _lock(run: RunFolder) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(run.data_lock.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise JobError(f"{run.path}: its data step is not finished") from error
    return content


def _digests(lock: Mapping[str, Any], split: str) -> list[str]:
    """Return the digests of a split's files, sorted: paths may differ."""
    return sorted(lock["splits"].get(split, {}).values())


def _classes(lock: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what the labels come to: the class names by id, and what became of the old ones."""
    return lock["class_names"], lock.get("class_map")


def _told(lock: Mapping[str, Any]) -> str:
    names, renamed = _classes(lock)
    changed = [f"{old} is {new or 'dropped'}" for old, new in (renamed or {}).items() if old != new]
    return ", ".join(names) + (f", where {', '.join(changed)}" if changed else "")
