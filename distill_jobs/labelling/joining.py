"""All shards in one: the file that a job reads as a teacher, and the list of its images."""

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from distill_jobs.labelling.plan import LabelFolder, Plan
from distill_jobs.labelling.whole_file import whole_file

_COUNT_NAME = "INSERT INTO names VALUES (?, 1) ON CONFLICT DO UPDATE SET n = n + 1"
DETECTIONS, IMAGES, BROKEN = "detections.jsonl", "images.txt", "broken.txt"


def join(folder: LabelFolder, plan: Plan) -> int:
    """Write what a job takes, and return how many copies of frames were left out.

    - detections.jsonl: a record each, as `further_teachers: [{detections: ...}]` reads them;
    - images.txt: the images that have one, as `data.unlabelled` reads it;
    - broken.txt: the others, and why.

    A file that is there twice, byte for byte, is taken once. Digests and names are looked up on
    the disk, so that memory does not grow with the frames.
    """
    copies = 0
    with (
        _seen(folder.path) as seen,
        whole_file(folder.path / DETECTIONS) as detections,
        whole_file(folder.path / IMAGES) as images,
        whole_file(folder.path / BROKEN) as broken,
    ):
        for line in _lines(folder, plan):
            seen.execute(_COUNT_NAME, [Path(line["path"]).name])
        for line in _lines(folder, plan):
            path = line.pop("path")
            if "broken" in line:
                broken.write(f"{path}\t{line['broken']}\n".encode())
                continue
            digest = bytes.fromhex(line["sha256"])
            if not seen.execute("INSERT OR IGNORE INTO digests VALUES (?)", [digest]).rowcount:
                copies += 1
                continue
            name = Path(path).name
            alone = seen.execute("SELECT n FROM names WHERE name = ?", [name]).fetchone() == (1,)
            record = {"image": name, **line} if alone else line
            detections.write((json.dumps(record, ensure_ascii=False) + "\n").encode())
            images.write(f"{path}\n".encode())
    return copies


def _lines(folder: LabelFolder, plan: Plan) -> Iterator[dict[str, Any]]:
    for shard in folder.shards(plan):
        with folder.shard_file(shard.number).open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)


@contextmanager
def _seen(folder: Path) -> Iterator[sqlite3.Connection]:
    """Return a database of what was seen, on the disk and gone with the block."""
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".seen-") as scratch,
        closing(sqlite3.connect(Path(scratch) / "seen.sqlite3", isolation_level=None)) as seen,
    ):
        # What a kill leaves of it is of no use to anybody.
        seen.execute("PRAGMA journal_mode=OFF")
        seen.execute("PRAGMA synchronous=OFF")
        seen.execute("CREATE TABLE names (name TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID")
        seen.execute("CREATE TABLE digests (sha256 BLOB PRIMARY KEY) WITHOUT ROWID")
        seen.execute("BEGIN")
        yield seen
