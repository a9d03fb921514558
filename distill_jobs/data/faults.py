"""What was broken in a data set and was left out of it: counted, listed, never silent."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distill_jobs.files import write_json


@dataclass(frozen=True)
class Fault:
    """An image, or a row of labels, that was skipped.

    Attributes:
        file: The image or the label file.
        split: Where it would have been.
        why: What is wrong, with the limit.
        line: 1-based line of a label row, 0 where the whole image was skipped.
        image: The image that it belongs to.
    """

    file: Path
    split: str
    why: str
    image: Path
    line: int = 0


def skipped_images(faults: Sequence[Fault]) -> int:
    """Return how many images were skipped whole."""
    return sum(fault.line == 0 for fault in faults)


def skipped_rows(faults: Sequence[Fault]) -> int:
    """Return how many label rows were skipped."""
    return sum(fault.line > 0 for fault in faults)


def faulty_images(faults: Sequence[Fault]) -> int:
    """Return how many images have any fault."""
    return len({fault.image for fault in faults})


def write_faults(path: Path, faults: Sequence[Fault], *, images: int) -> None:
    """Write the report that lists every fault.

    Args:
        path: `data_faults.json`.
        faults: As found; an empty list is written too: it says that all was read.
        images: How many images were looked at.
    """
    content: dict[str, Any] = {
        "images": images,
        "skipped_images": skipped_images(faults),
        "skipped_label_rows": skipped_rows(faults),
        "faults": [
            {key: str(value) if isinstance(value, Path) else value for key, value in one.items()}
            for one in map(asdict, faults)
        ],
    }
    write_json(path, content)
