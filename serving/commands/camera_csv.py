"""A CSV file of cameras, checked as a whole."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from serving.api.complaints import complaint
from serving.store.observations import Camera

COLUMNS = ("id", "group", "expected_fps", "note")
_MOST_COMPLAINTS = 20
# The csv module's own limit on a cell is 131,072 characters; here no cell is longer than a note.
_MOST_BYTES = 16 * 1024 * 1024


class CsvRejected(Exception):
    """The file is not a list of cameras.

    Attributes:
        complaints: One a fault: "FILE:LINE: COLUMN: what is wrong".
    """

    def __init__(self, complaints: list[str]) -> None:
        more = len(complaints) - _MOST_COMPLAINTS
        self.complaints = complaints[:_MOST_COMPLAINTS]
        if more > 0:
            self.complaints.append(f"and {more} more")
        super().__init__("\n".join(self.complaints))


@dataclass(frozen=True)
class CameraRow:
    """A line of the file.

    Attributes:
        id: Of the camera.
        words: What the file says of it: only the columns that the file has; an empty cell is an
            empty word, or no expected rate.
    """

    id: str
    words: Mapping[str, str | float | None]


def read_cameras(path: Path) -> list[CameraRow]:
    """Read a file whose first line names its columns: `id` and any others of `COLUMNS`.

    Args:
        path: UTF-8.

    Raises:
        CsvRejected: Something in it is wrong; every fault is told with its line and column.
    """
    text = _text(path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = _Rows(path.name)
    try:
        columns = rows.header(next(reader, []))
        for cells in reader:
            if cells:
                rows.add(reader.line_num, dict(zip(columns, cells, strict=False)), len(cells))
    except csv.Error as error:
        raise CsvRejected(
            [f"{path.name}:{reader.line_num}: not readable as CSV: {error}"]
        ) from error
    if rows.complaints:
        raise CsvRejected(rows.complaints)
    return rows.read


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise CsvRejected([f"{path.name}: {size} bytes, and at most {_MOST_BYTES} are read"])
        # A spreadsheet's byte order mark is not part of the first column's name.
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CsvRejected([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        before = path.read_bytes()[: error.start].count(b"\n") + 1
        raise CsvRejected([f"{path.name}:{before}: not UTF-8; save the file as UTF-8"]) from error


class _Rows:
    """Collects rows and whatever is wrong with them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._columns: list[str] = []
        self._lines: dict[str, int] = {}
        self.read: list[CameraRow] = []
        self.complaints: list[str] = []

    def header(self, cells: list[str]) -> list[str]:
        """Take the first line; what is wrong with it makes the rest unreadable."""
        self._columns = [cell.strip() for cell in cells]
        wrong = [
            f"{self._name}:1: {column or 'an empty cell'}: no such column; there are "
            f"{', '.join(COLUMNS)}"
            for column in self._columns
            if column not in COLUMNS
        ]
        wrong += [
            f"{self._name}:1: {column}: named twice"
            for column in COLUMNS
            if self._columns.count(column) > 1
        ]
        if "id" not in self._columns:
            wrong.append(f"{self._name}:1: id: this column is missing")
        if wrong:
            raise CsvRejected(wrong)
        return self._columns

    def add(self, line: int, cells: dict[str, str], count: int) -> None:
        """Take one line."""
        faults = list(self._faults(line, cells, count))
        self.complaints += [f"{self._name}:{line}: {fault}" for fault in faults]
        if not faults:
            words = {name: _value(name, cell) for name, cell in cells.items() if name != "id"}
            self.read.append(CameraRow(cells["id"], words))

    def _faults(self, line: int, cells: dict[str, str], count: int) -> Iterator[str]:
        if count != len(self._columns):
            yield f"{count} cells, and the first line names {len(self._columns)} columns"
            return
        try:
            Camera.model_validate({name: _value(name, cell) for name, cell in cells.items()})
        except ValidationError as error:
            for one in error.errors():
                yield f"{one['loc'][0]}: {_told(str(one['loc'][0]), cells, complaint(one))}"
        first = self._lines.setdefault(cells["id"], line)
        if first != line:
            yield f"id: {cells['id']!r} stands on line {first} already"


def _value(column: str, cell: str) -> str | float | None:
    """Return a cell as a camera takes it; a number that is none stays text, and is refused."""
    if column != "expected_fps":
        return cell
    if not cell.strip():
        return None
    try:
        return float(cell)
    except ValueError:
        return cell


def _told(column: str, cells: Mapping[str, str], words: str) -> str:
    cell = cells[column]
    return words if cell[:80] in words else f"{cell[:80]!r}: {words}"
