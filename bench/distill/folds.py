"""All images of a data set in folds: each is held out once, near-duplicates together."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from distill_jobs.data.dataset import Dataset, Sample

FOLDS = 3
# One of so many training images judges epochs and trials, and is not trained on.
INNER_SHARE = 5
# One of so many training images keeps its labels where few are labelled.
FEW_SHARE = 4
# Stems of near-duplicates: they must be on the same side of every border.
TWINS: Mapping[str, str] = {"BloodImage_00037": "BloodImage_00038"}


@dataclass(frozen=True)
class Fold:
    """Who is trained on, who judges, and who is held out.

    Attributes:
        number: 0-based.
        class_names: Index = class id.
        train: Trained on.
        inner: Chooses epochs and trials.
        held_out: Measured once, by the finished model.
    """

    number: int
    class_names: tuple[str, ...]
    train: tuple[Sample, ...]
    inner: tuple[Sample, ...]
    held_out: tuple[Sample, ...]

    @cached_property
    def digest(self) -> str:
        """Names, pixels and labels of the images in their three parts, as SHA-256 in hex."""
        found = hashlib.sha256()
        for part in (self.train, self.inner, self.held_out):
            for sample in part:
                found.update(sample.image.name.encode())
                found.update(_content(sample.image))
                found.update(_content(sample.labels) if sample.labels else b"")
            found.update(b"|")
        return found.hexdigest()


def folds(dataset: Dataset) -> tuple[Fold, ...]:
    """Cut a data set's images, whatever split they lie in, into folds.

    Images of a kind (as many rare objects, as many objects) are dealt to the folds in turn, and
    those that are left of a fold to its inner part likewise: deterministic and stratified.
    """
    samples = [sample for split in dataset.splits.values() for sample in split]
    rare = _rarest_first(samples)
    dealt = _deal(samples, FOLDS, rare)
    return tuple(_fold(number, dealt, dataset.class_names, rare) for number in range(len(dealt)))


def stage(fold: Fold, folder: Path) -> Dataset:
    """Lay a fold's train and inner parts out as a data set ("train", "val") of linked images.

    Args:
        fold: What to lay out; the held-out part stays out.
        folder: Made anew by the caller; ultralytics writes its label caches there. Images whose
            labels were taken away are listed in `unlabelled.txt`.
    """
    for split, samples in (("train", fold.train), ("val", fold.inner)):
        images, labels = folder / "images" / split, folder / "labels" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for sample in samples:
            (images / sample.image.name).symlink_to(sample.image.resolve())
            if not sample.labelled:
                continue
            text = sample.labels.read_text(encoding="utf-8") if sample.labels else ""
            (labels / f"{sample.image.stem}.txt").write_text(text, encoding="utf-8")
    content = {"train": "images/train", "val": "images/val"}
    if bare := [sample.image.name for sample in fold.train if not sample.labelled]:
        lines = "".join(f"./images/train/{name}\n" for name in bare)
        (folder / "unlabelled.txt").write_text(lines, encoding="utf-8")
        content["unlabelled"] = "unlabelled.txt"
    names = dict(enumerate(fold.class_names))
    (folder / "data.yaml").write_text(yaml.safe_dump({**content, "names": names}))
    return Dataset.load(folder / "data.yaml")


def quarter(fold: Fold) -> tuple[Sample, ...]:
    """Return one of four of a fold's training images, dealt as its parts were: stratified."""
    return _by_name(_deal(fold.train, FEW_SHARE, _rarest_first(fold.train))[0])


def _fold(
    number: int,
    dealt: Sequence[Sequence[Sample]],
    class_names: tuple[str, ...],
    rare: Sequence[int],
) -> Fold:
    rest = [sample for other, hand in enumerate(dealt) if other != number for sample in hand]
    inner, *train = _deal(rest, INNER_SHARE, rare)
    return Fold(
        number,
        class_names,
        _by_name(sample for hand in train for sample in hand),
        _by_name(inner),
        _by_name(dealt[number]),
    )


def _deal(samples: Sequence[Sample], hands: int, rare: Sequence[int]) -> list[list[Sample]]:
    """Deal samples in turn, those of a kind one after the other, twins as one."""
    present = {sample.image.stem: sample for sample in samples}
    followers = {
        leader: present[twin]
        for twin, leader in TWINS.items()
        if twin in present and leader in present
    }
    following = {sample.image.stem for sample in followers.values()}
    leaders = [sample for stem, sample in present.items() if stem not in following]
    dealt: list[list[Sample]] = [[] for _ in range(hands)]
    for place, sample in enumerate(sorted(leaders, key=lambda one: _kind(one, rare))):
        lap, seat = divmod(place, hands)
        hand = dealt[seat if lap % 2 == 0 else hands - 1 - seat]  # there and back: sizes even out
        hand.append(sample)
        if sample.image.stem in followers:
            hand.append(followers[sample.image.stem])
    return dealt


def _kind(sample: Sample, rare: Sequence[int]) -> tuple[int | str, ...]:
    ids = _class_ids(sample)
    digest = hashlib.sha256(sample.image.stem.encode()).hexdigest()
    return (*(min(ids.count(one), 2) for one in rare[:-1]), len(ids), digest)


def _rarest_first(samples: Sequence[Sample]) -> list[int]:
    ids = [one for sample in samples for one in _class_ids(sample)]
    return sorted(set(ids), key=ids.count)


def _class_ids(sample: Sample) -> list[int]:
    if sample.labels is None:
        return []
    rows = sample.labels.read_text(encoding="utf-8").splitlines()
    return [int(row.split()[0]) for row in rows if row.strip()]


def _content(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()


def _by_name(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    return tuple(sorted(samples, key=lambda one: one.image.name))
