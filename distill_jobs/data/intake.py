"""A data set on its way in: looked at file by file, mapped, split, and cleared of duplicates."""

import math
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from distill_jobs.data.class_map import ClassMap
from distill_jobs.data.dataset import SPLITS, Dataset
from distill_jobs.data.duplicates import NearPairs, Pair, exact_pairs, joined, near_pairs
from distill_jobs.data.faults import Fault, faulty_images
from distill_jobs.data.partition import key_of, partition
from distill_jobs.data.piece import Find, Looked, Piece, examine
from distill_jobs.data.unlabelled import (
    UNLABELLED,
    LeftOut,
    capped,
    find_unlabelled,
    without_near,
    without_repeats,
)
from distill_jobs.errors import DataSetInvalid, DuplicatesFound, TooFaulty
from distill_jobs.progress import Reporter
from distill_jobs.recipe.data import Data, Split

_SHOWN = 3  # examples in a message; reports list all


@dataclass(frozen=True)
class Intake:
    """What is taken in, and what is not.

    Attributes:
        source: The data set as its `data.yaml` describes it.
        class_map: From its classes to the job's.
        pieces: The images that are used: train, val, test, then unlabelled.
        faults: What was skipped.
        left_out: Sound unlabelled images that are not used, and why.
        near: Pictures that almost repeat on two sides of a split.
        groups: Cameras or times by split, where the job splits by them.
        images: How many images were looked at.
        dropped: Objects left out because the job names no class for them.
    """

    source: Dataset
    class_map: ClassMap
    pieces: tuple[Piece, ...]
    faults: tuple[Fault, ...]
    left_out: tuple[LeftOut, ...]
    near: NearPairs
    groups: dict[str, list[str]]
    images: int
    dropped: int

    def split(self, name: str) -> tuple[Piece, ...]:
        """Return the images of "train", "val", "test" or "unlabelled"."""
        return tuple(piece for piece in self.pieces if piece.split == name)


def take_in(data: Data, reporter: Reporter) -> Intake:
    """Look at every file of a data set and decide what is used; nothing is written.

    Args:
        data: The job's section, with a `path:`.
        reporter: Told of each image.

    Returns:
        What is used. Call `refuse_faulty` and `refuse_duplicates` on it before it is trained on.

    Raises:
        DataSetInvalid: The description of the data set, the class map or the split does not fit.
    """
    source = Dataset.load(data.path or Path())
    class_map = ClassMap.of(source.path, source.class_names, data.classes)
    finds = [
        # A working copy's own unlabelled images: without labels they would be taught as background.
        Find(sample.image, sample.labels, split if sample.labelled else UNLABELLED)
        for split, samples in source.splits.items()
        for sample in samples
    ]
    looked = _look(finds + find_unlabelled(data.unlabelled), class_map, reporter)
    pieces = [one.piece for one in looked if one.piece is not None]
    labelled = [piece for piece in pieces if piece.split != UNLABELLED]
    faults = [fault for one in looked for fault in one.faults]
    groups: dict[str, list[str]] = {}
    if data.split is not None:
        labelled, unkeyed, groups = _split_anew(data.split, labelled, source.path)
        faults += unkeyed
    near = _near(labelled, data.near_duplicate_bits)
    unlabelled, left_out, unlabelled_near = _unlabelled(data, pieces, labelled)
    return Intake(
        source=source,
        class_map=class_map,
        pieces=(*labelled, *unlabelled),
        faults=tuple(faults),
        left_out=tuple(left_out),
        near=joined(near, unlabelled_near),
        groups=groups,
        images=len(looked),
        dropped=sum(one.dropped for one in looked),
    )


def refuse_faulty(intake: Intake, data: Data) -> None:
    """Fail where too much is broken; of any share but 0 one faulty image is let through.

    Raises:
        TooFaulty: More images have faults than the job lets through, or a split has none left.
        DataSetInvalid: A split shows no object at all.
    """
    path, faulty = intake.source.path, faulty_images(intake.faults)
    told = "; ".join(
        f"{fault.file.name}{f':{fault.line}' if fault.line else ''}: {fault.why}"
        for fault in intake.faults[:_SHOWN]
    )
    if faulty > math.ceil(data.max_faulty_share * intake.images):
        raise TooFaulty(
            path,
            f"{faulty} of {intake.images} images are faulty, more than data.max_faulty_share "
            f"({data.max_faulty_share:.0%}) lets through. {told}",
        )
    expected = set(intake.groups) or set(intake.source.splits)
    for split in SPLITS:
        if split in expected and not intake.split(split):
            raise TooFaulty(path, f"every image of the {split} split was skipped. {told}")
        if split in expected and not any(piece.rows for piece in intake.split(split)):
            raise DataSetInvalid(
                path,
                f"no image of the {split} split shows an object of the job's classes: there is "
                "nothing to learn, or to measure by. Look at its label files, data.classes and "
                "data.split",
            )


def refuse_duplicates(intake: Intake, data: Data) -> None:
    """Fail where a picture lies on two sides of a split.

    Raises:
        DuplicatesFound: The very same picture; or almost the same, where the job refuses that too.
    """
    shown = [piece.shown for piece in intake.pieces if piece.split != UNLABELLED]
    _refuse(intake.source.path, exact_pairs(shown), "the same picture", "remove one of each pair")
    if data.near_duplicates == "refuse":
        remedy = "remove one of each pair, or set data.near_duplicates to list"
        labelled = [pair for pair in intake.near.closest if pair.one.split != UNLABELLED]
        _refuse(intake.source.path, labelled, "almost the same picture", remedy)


def _refuse(path: Path, pairs: Sequence[Pair], what: str, remedy: str) -> None:
    if not pairs:
        return
    root = path.resolve().parent
    told = "; ".join(
        f"{_short(pair.one.image, root)} and {_short(pair.other.image, root)}"
        for pair in pairs[:_SHOWN]
    )
    more = f" and {len(pairs) - _SHOWN} pairs more" if len(pairs) > _SHOWN else ""
    raise DuplicatesFound(
        path,
        f"{what} lies on two sides of a split, which would be measured better than it is: "
        f"{told}{more}. {remedy.capitalize()}",
        pairs=tuple((pair.one.image, pair.other.image) for pair in pairs),
    )


def _short(image: Path, root: Path) -> str:
    return os.path.relpath(image, root) if image.is_relative_to(root) else str(image)


def _look(finds: Sequence[Find], class_map: ClassMap, reporter: Reporter) -> list[Looked]:
    """Open every image, several at a time: decoding and hashing let other threads run."""
    reporter.stage("check the data", len(finds))
    looked = []
    with warnings.catch_warnings(), ThreadPoolExecutor(max_workers=os.cpu_count()) as threads:
        # Of odd metadata, which nothing here reads; what matters is told as a fault.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        for one in threads.map(lambda find: examine(find, class_map), finds):
            looked.append(one)
            reporter.advance()
    return looked


def _split_anew(
    rule: Split, pieces: Sequence[Piece], path: Path
) -> tuple[list[Piece], list[Fault], dict[str, list[str]]]:
    root = path.resolve().parent
    keys = {piece.image: _key(rule, piece, root) for piece in pieces}
    sizes = Counter(key for key in keys.values() if key is not None)
    if not sizes:
        raise DataSetInvalid(
            path,
            f"data.split.pattern finds no {rule.by} in any image's path, for example in "
            f"{_short(pieces[0].image, root) if pieces else root}",
        )
    split_of = partition(rule, sizes, path)
    placed = [
        replace(piece, split=split_of[key])
        for piece in pieces
        if (key := keys[piece.image]) is not None
    ]
    why = f"data.split.pattern finds no {rule.by} in its path"
    unkeyed = [
        Fault(piece.image, piece.split, why, piece.image)
        for piece in pieces
        if keys[piece.image] is None
    ]
    groups = {
        split: sorted(key for key in sizes if rule.by != "random" and split_of[key] == split)
        for split in SPLITS
        if split in split_of.values()
    }
    ordered = sorted(placed, key=lambda piece: (SPLITS.index(piece.split), piece.image))
    return ordered, unkeyed, groups


def _key(rule: Split, piece: Piece, root: Path) -> str | None:
    path = Path(os.path.relpath(piece.image, root)).as_posix()
    return key_of(rule, path, piece.picture.pixels_sha256)


def _near(pieces: Sequence[Piece], max_bits: int) -> NearPairs:
    """Compare train with what it is measured on, and val, which chooses, with test."""
    train, val, test = (
        [piece.shown for piece in pieces if piece.split == split] for split in SPLITS
    )
    return joined(near_pairs(train, val + test, max_bits), near_pairs(val, test, max_bits))


def _unlabelled(
    data: Data, pieces: Sequence[Piece], labelled: Sequence[Piece]
) -> tuple[list[Piece], list[LeftOut], NearPairs]:
    found = [piece for piece in pieces if piece.split == UNLABELLED]
    kept, left_out = without_repeats(found, labelled)
    measured = [piece.shown for piece in labelled if piece.split != "train"]
    if data.near_duplicates == "refuse":
        kept, almost = without_near(kept, measured, data.near_duplicate_bits)
        left_out += almost
    train = sum(piece.split == "train" for piece in labelled)
    kept, surplus = capped(kept, train, data.max_unlabelled_share)
    near = near_pairs([piece.shown for piece in kept], measured, data.near_duplicate_bits)
    return kept, left_out + surplus, near
