"""Whose an archive in the model store is: a release notes the digest of what it will publish."""

import json
from pathlib import Path

from distill_jobs.checkpoints import digest
from distill_jobs.files import write_json
from distill_jobs.release import archive

_NAME = "publishing.json"


def lay(packed: Path, work_dir: Path) -> None:
    """Note an archive's digest, before it has its name in the model store.

    Args:
        packed: The archive.
        work_dir: Of its release.
    """
    write_json(work_dir / _NAME, {"sha256": digest(packed)})


def withdraw(published: Path, work_dir: Path) -> None:
    """Remove an archive that this very release published; any other stays.

    The same job run twice trains equal checkpoints: neither they nor the job tell whose it is.

    Args:
        published: Where it lies, or would.
        work_dir: Of the release.
    """
    try:
        claimed = json.loads((work_dir / _NAME).read_text(encoding="utf-8"))["sha256"]
    except FileNotFoundError:
        return
    if published.is_file() and digest(published) == claimed:
        archive.remove(published)
