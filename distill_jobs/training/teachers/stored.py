"""Detections that some detector left in a file: a teacher that need not be here at all.

JSON Lines (or one JSON array), one record an image:

    {"image": "01.jpg", "boxes_xyxy_px": [[12, 30, 80, 95]], "scores": [0.9], "classes": ["cat"]}

- `image`: the file's name; or `sha256`: of its bytes, where names are not unique. Either will do.
- `boxes_xyxy_px`: corners x1, y1, x2, y2 in pixels of the original image, turned upright.
- `scores`: 0 to 1, one a box.
- `classes`: names, one a box; or `class_ids`, and `class_names:` in the job file.

Each training image needs a record: an empty one says that the teacher saw nothing, and none at all
would say that by accident.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from distill_jobs.checkpoints import digest
from distill_jobs.errors import DataSetInvalid
from distill_jobs.training.teachers.found import Found, Selection, SourceImage, identity

_BETWEEN_RECORDS = re.compile(r"[\s,\[\]]*")
_STAGED_NUMBER = re.compile(r"^[0-9]{6}-")
Number = Annotated[float, Field(allow_inf_nan=False)]


class Record(BaseModel):
    """What was found in one image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    boxes_xyxy_px: tuple[tuple[Number, Number, Number, Number], ...]
    scores: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    classes: tuple[str, ...] | None = None
    class_ids: tuple[Annotated[int, Field(ge=0)], ...] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.image is None and self.sha256 is None:
            raise ValueError("names no image: give `image` or `sha256`")
        if (self.classes is None) == (self.class_ids is None):
            raise ValueError("give exactly one of `classes` and `class_ids`")
        named = self.classes if self.classes is not None else self.class_ids or ()
        counts = (len(self.boxes_xyxy_px), len(self.scores), len(named))
        if len(set(counts)) > 1:
            raise ValueError(f"{counts[0]} boxes, {counts[1]} scores and {counts[2]} classes")
        for box in self.boxes_xyxy_px:
            if box[0] >= box[2] or box[1] >= box[3]:
                raise ValueError(f"box {list(box)} is not x1 < x2, y1 < y2")
        return self


@dataclass(frozen=True)
class StoredDetections:
    """A file of detections, read and checked.

    Attributes:
        file: Where it came from.
        class_names: Index = class id.
        by_name: Records by the image's file name.
        by_sha256: Records by the digest of the image's bytes.
    """

    file: Path
    class_names: tuple[str, ...]
    by_name: Mapping[str, Record]
    by_sha256: Mapping[str, Record]

    @classmethod
    def load(cls, file: Path, class_names: Sequence[str] | None) -> "StoredDetections":
        """Read a file of detections.

        Args:
            file: JSON Lines, or one JSON array.
            class_names: Index = class id; None takes the names that the records use.

        Raises:
            DataSetInvalid: A record does not fit; the message names file, line and field.
        """
        by_name: dict[str, Record] = {}
        by_sha256: dict[str, Record] = {}
        used: set[str] = set()
        for line, record in _records(file):
            _check_classes(file, line, record, class_names)
            used.update(record.classes or ())
            for key, known in ((record.sha256, by_sha256), (record.image, by_name)):
                if key is not None and known.setdefault(key, record) is not record:
                    raise DataSetInvalid(file, f"a second record of {key}", line=line)
        return cls(file, tuple(class_names or sorted(used)), by_name, by_sha256)

    def of(self, image: SourceImage) -> Record | None:
        """Return the record of a staged image, None where there is none."""
        record = self.by_sha256.get(image.sha256)
        if record is not None:
            return record
        return next((self.by_name[n] for n in _names_of(image.path) if n in self.by_name), None)

    def check_covers(self, images: Sequence[SourceImage]) -> None:
        """Check that each image has its own record.

        Raises:
            DataSetInvalid: One has none, or two share one.
        """
        missing = [image for image in images if self.of(image) is None]
        if missing:
            name = _names_of(missing[0].path)[0]
            raise DataSetInvalid(
                self.file,
                f"has no record of {len(missing)} of the {len(images)} training images, for "
                f"example {name}: add one each, without boxes where the teacher saw nothing",
            )
        shared: dict[int, str] = {}
        for image in images:
            other = shared.setdefault(id(self.of(image)), image.sha256)
            if other != image.sha256:
                name = _names_of(image.path)[0]
                raise DataSetInvalid(
                    self.file, f"{name}: two images bear this name: give their `sha256` instead"
                )


class StoredFinder:
    """Finds what the file says.

    Args:
        stored: The file, read.
        selection: Which of its boxes are kept.
    """

    def __init__(self, stored: StoredDetections, selection: Selection) -> None:
        self._stored, self._selection = stored, selection
        self._identity = identity(teacher=digest(stored.file), **selection.parts)

    @property
    def identity(self) -> str:
        """Hex digest of all that its answers depend on but the image."""
        return self._identity

    def find(self, image: SourceImage) -> Found:
        """Return the objects that the file lists.

        Raises:
            DataSetInvalid: It has no record of the image, or the image does not decode.
        """
        record = self._stored.of(image)
        if record is None:
            raise DataSetInvalid(self._stored.file, f"has no record of {image.path.name}")
        height, width = image.read().shape[:2]
        ids = {name: index for index, name in enumerate(self._stored.class_names)}
        class_ids = record.class_ids
        if class_ids is None:
            class_ids = tuple(ids[name] for name in record.classes or ())
        return self._selection.from_finished(
            np.array(record.boxes_xyxy_px, np.float32).reshape(-1, 4),
            np.array(record.scores, np.float32),
            np.array(class_ids, np.int64),
            width=width,
            height=height,
        )


def _records(file: Path) -> Iterator[tuple[int, Record]]:
    """Yield each record with its 1-based line, of JSON Lines and of one array alike."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataSetInvalid(file, f"not a readable file of detections ({error})") from error
    decoder, line, place = json.JSONDecoder(), 1, 0
    while True:
        gap = _BETWEEN_RECORDS.match(text, place)
        start = gap.end() if gap else place
        line += text.count("\n", place, start)
        if start == len(text):
            return
        try:
            content, end = decoder.raw_decode(text, start)
            yield line, Record.model_validate(content)
        except json.JSONDecodeError as error:
            raise DataSetInvalid(file, f"not JSON: {error.msg}", line=error.lineno) from error
        except ValidationError as error:
            fault = error.errors()[0]
            key = ".".join(str(step) for step in fault["loc"])
            problem = fault["msg"].removeprefix("Value error, ")
            raise DataSetInvalid(file, f"{key}: {problem}" if key else problem, line=line) from (
                error
            )
        line += text.count("\n", start, end)
        place = end


def _check_classes(
    file: Path, line: int, record: Record, class_names: Sequence[str] | None
) -> None:
    if record.class_ids and class_names is None:
        raise DataSetInvalid(
            file, "`class_ids` say nothing without `class_names:` in the job file", line=line
        )
    names = class_names or ()
    if record.class_ids and max(record.class_ids) >= len(names):
        raise DataSetInvalid(
            file, f"class id {max(record.class_ids)} is not below {len(names)}", line=line
        )
    strange = sorted(set(record.classes or ()) - set(names)) if class_names else []
    if strange:
        raise DataSetInvalid(file, f"{strange[0]!r} is not among `class_names:`", line=line)


def _names_of(staged: Path) -> list[str]:
    """Return the names that a staged image goes by, likeliest first: staging numbers and links."""
    original = staged.resolve().name if staged.is_symlink() else ""
    return [name for name in (original, _STAGED_NUMBER.sub("", staged.name), staged.name) if name]
