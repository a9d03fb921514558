import json
import os
import zipfile
from pathlib import Path

import pytest

from distill_jobs.release.archived_card import archived_card
from handlers.errors import CardError

CARD = json.dumps({"class_names": ["car"], "lineage": {"job": "demo"}}).encode()


def archive(
    path: Path,
    content: bytes = CARD,
    name: str = "card.json",
    packed: int = zipfile.ZIP_STORED,
) -> Path:
    with zipfile.ZipFile(path, "w", packed) as parts:
        parts.writestr(name, content)
    return path


def changed(path: Path, old: bytes, new: bytes) -> Path:
    whole = path.read_bytes()
    assert old in whole
    path.write_bytes(whole.replace(old, new))
    return path


def test_a_card_is_read_by_its_fields(tmp_path: Path):
    card = archived_card(archive(tmp_path / "a-1.0.mar"))

    assert card.texts("class_names") == ("car",)
    assert card.inner("lineage").text("job") == "demo"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b" " * (8 * 1024**2 + 1), "would have 8388609 bytes; at most 8388608 may be"),
        (b"[" * 100_000, "no archive with a card"),
        (b"\xff\xfe", "no archive with a card"),
        (b'{"class_names": ' + b"9" * 5000 + b"}", "no archive with a card"),
        (b'["class_names"]', "must be an object"),
    ],
    ids=["a bomb", "brackets", "no text", "a number without end", "a list"],
)
def test_a_card_that_would_hurt_is_refused(tmp_path: Path, content: bytes, says: str):
    with pytest.raises(CardError, match=says):
        archived_card(archive(tmp_path / "a-1.0.mar", content))


@pytest.mark.parametrize("packed", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_card_that_unpacks_to_more_than_it_says_is_not_unpacked(tmp_path: Path, packed: int):
    """Python unpacks all of it before it looks at the size: 600 bytes of bzip2 would be 600 MB."""
    path = archive(tmp_path / "a-1.0.mar", b" " * 9_000_000, packed=packed)
    changed(path, (9_000_000).to_bytes(4, "little"), (64).to_bytes(4, "little"))

    with pytest.raises(CardError, match=r"card\.json is compressed; .*zip-store"):
        archived_card(path)


def test_a_card_that_is_larger_than_it_says_is_not_read(tmp_path: Path):
    path = archive(tmp_path / "a-1.0.mar", b" " * 9_000_000)
    size = (9_000_000).to_bytes(4, "little")
    changed(path, size + size, size + (64).to_bytes(4, "little"))

    with pytest.raises(CardError, match="is compressed"):
        archived_card(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"),
        (b"PK\x05\x06", b"PK\x05\x07"),
    ],
    ids=["encrypted", "no end"],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, old: bytes, new: bytes):
    path = changed(archive(tmp_path / "a-1.0.mar"), old, new)

    with pytest.raises(CardError, match="no archive with a card"):
        archived_card(path)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe-1.0.mar")
    (tmp_path / "folder-1.0.mar").mkdir()

    for name in ("pipe-1.0.mar", "folder-1.0.mar", "gone-1.0.mar"):
        with pytest.raises(CardError, match="no such archive"):
            archived_card(tmp_path / name)


def test_a_card_elsewhere_is_none(tmp_path: Path):
    with pytest.raises(CardError, match=r"card\.json"):
        archived_card(archive(tmp_path / "a-1.0.mar", name="../card.json"))
