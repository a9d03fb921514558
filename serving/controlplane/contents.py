"""What lies in an archive: opened only after its signature was verified, and carefully still.

Nothing here unpickles, extracts or imports: weights are bytes, and code stays where it is.
"""

import hashlib
import json
import re
import stat
import struct
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from google.protobuf import json_format
from pydantic import ValidationError

from proto.wire.v1 import card_pb2
from serving.controlplane.layout import check_layout
from serving.errors import ArchiveRejected
from serving.store.values import ReleaseKey

CARD = "card.json"
MANIFEST = "MAR-INF/MANIFEST.json"
SCHEMA_VERSION = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
# What zipfile raises for bytes that are not what they should be: encrypted, cut off, damaged, a
# name that is no text; and the parsers for too many brackets.
_UNREADABLE = (
    *(zipfile.BadZipFile, struct.error, UnicodeError),
    *(NotImplementedError, RuntimeError, OSError, EOFError),
)


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold.

    Attributes:
        members: Files.
        text_bytes: Of the card, and of the manifest.
    """

    members: int = 2000
    text_bytes: int = 8 * 1024**2


DEFAULT_LIMITS = Limits()


def read_card(
    archive: Path, name: str, *, limits: Limits = DEFAULT_LIMITS
) -> tuple[ReleaseKey, card_pb2.Card]:
    """Check an archive through and return whose it is, and its card.

    Args:
        archive: The file.
        name: What it is called where it came from; must be NAME-VERSION.mar.
        limits: How much it may hold.

    Raises:
        ArchiveRejected: It is not an archive of this product; the message says what is wrong.
    """
    try:
        with archive.open("rb") as file, zipfile.ZipFile(file) as opened:
            members = _members(opened, limits)
            check_layout(opened, file)
            card = _card(_text(opened, members, CARD, limits))
            key = _key(card)
            _manifest_agrees(_text(opened, members, MANIFEST, limits), key)
            _name_agrees(name, key)
            _card_is_complete(card, members)
            _digests_agree(opened, card, members)
    except _UNREADABLE as error:
        raise ArchiveRejected(f"{name}: not a readable archive ({error})") from error
    except ArchiveRejected as error:
        raise ArchiveRejected(f"{name}: {error.message}") from error
    return key, card


def read_member(archive: Path, member: str) -> bytes:
    """Return one file of an archive that `read_card` has accepted."""
    with zipfile.ZipFile(archive) as opened:
        return opened.read(member)


def _members(opened: zipfile.ZipFile, limits: Limits) -> frozenset[str]:
    """Check every entry before one is read, and return the files' names."""
    entries = opened.infolist()
    if len(entries) > limits.members:
        raise ArchiveRejected(f"it holds {len(entries)} files; at most {limits.members} may be")
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise ArchiveRejected("it holds a file twice")
    for entry in entries:
        _entry_is_safe(entry)
    return frozenset(entry.filename for entry in entries if not entry.is_dir())


def _entry_is_safe(entry: zipfile.ZipInfo) -> None:
    path = PurePosixPath(entry.filename)
    # orig_filename: ZipInfo cuts a name at a NUL byte, and another reader may not.
    odd = "\\" in entry.filename or ":" in entry.filename or entry.orig_filename != entry.filename
    # "./card.json" would be unpacked over "card.json".
    plain = entry.filename.removesuffix("/") == str(path)
    if odd or not plain or path.is_absolute() or ".." in path.parts or not path.parts:
        raise ArchiveRejected(f"the path {entry.orig_filename!r} leads out of the archive")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise ArchiveRejected(f"{entry.filename!r} is a link or a device; only files may be")


def _text(opened: zipfile.ZipFile, members: frozenset[str], member: str, limits: Limits) -> str:
    if member not in members:
        raise ArchiveRejected(f"no {member} in it: build archives with `understudy release build`")
    if opened.getinfo(member).file_size > limits.text_bytes:
        raise ArchiveRejected(f"{member} is larger than {limits.text_bytes} bytes")
    try:
        return opened.read(member).decode()
    except UnicodeDecodeError as error:
        raise ArchiveRejected(f"{member} is not UTF-8 text") from error


def _card(text: str) -> card_pb2.Card:
    card = card_pb2.Card()
    try:
        json_format.Parse(text, card)
    except json_format.ParseError as error:
        raise ArchiveRejected(f"{CARD} is not a card: {error}") from error
    if card.schema_version != SCHEMA_VERSION:
        raise ArchiveRejected(
            f"{CARD}: schema_version is {card.schema_version}; this server reads {SCHEMA_VERSION}"
        )
    if card.task != card_pb2.TASK_DETECTION:
        task = card_pb2.Task.Name(card.task)
        raise ArchiveRejected(f"{CARD}: task is {task}; this server serves TASK_DETECTION")
    return card


def _key(card: card_pb2.Card) -> ReleaseKey:
    try:
        return ReleaseKey(model=card.name, version=card.version)
    except ValidationError as error:
        field = "name" if error.errors()[0]["loc"] == ("model",) else "version"
        value = error.errors()[0]["input"]
        raise ArchiveRejected(f"{CARD}: {field} {value!r}: {error.errors()[0]['msg']}") from error


def _manifest_agrees(text: str, key: ReleaseKey) -> None:
    try:
        model = json.loads(text)["model"]
        found = f"{model['modelName']}-{model['modelVersion']}"
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveRejected(f"{MANIFEST} is not a manifest of torch-model-archiver") from error
    if found != str(key):
        raise ArchiveRejected(f"the card is of {key} and {MANIFEST} of {found}")


def _name_agrees(name: str, key: ReleaseKey) -> None:
    if name != f"{key}.mar":
        raise ArchiveRejected(f"the card is of {key}: the file must be called {key}.mar")


def _card_is_complete(card: card_pb2.Card, members: frozenset[str]) -> None:
    """Check that the card holds what deploying and serving need."""
    wanted = {
        "role": card.role in {card_pb2.ROLE_TEACHER, card_pb2.ROLE_STUDENT},
        "class_names": len(card.class_names) > 0,
        "variants": len(card.variants) > 0,
        "golden_frames": any(frame.detections for frame in card.golden_frames),
    }
    missing = [field for field, held in wanted.items() if not held]
    if missing:
        raise ArchiveRejected(f"{CARD}: {', '.join(missing)} missing; without it, no deploy")
    thresholds = card.post_processing.operating_thresholds
    if len(thresholds) != len(card.class_names):
        raise ArchiveRejected(
            f"{CARD}: {len(thresholds)} operating_thresholds for {len(card.class_names)} "
            "class_names; there must be one a class"
        )
    if not all(0 <= threshold <= 1 for threshold in thresholds):
        raise ArchiveRejected(f"{CARD}: operating_thresholds must be 0 to 1, not {thresholds}")
    for variant in card.variants:
        # Without it anything would do as an answer to a golden frame.
        if not (0 < variant.tolerance.min_f1 <= 1 and 0 < variant.tolerance.min_iou <= 1):
            raise ArchiveRejected(
                f"{CARD}: tolerance of {variant.name}: min_f1 and min_iou must be above 0 and at "
                f"most 1, not {variant.tolerance.min_f1:g} and {variant.tolerance.min_iou:g}"
            )
    _all_there([variant.file for variant in card.variants], members)
    _all_there([frame.file for frame in card.golden_frames], members)


def _all_there(files: Iterable[str], members: frozenset[str]) -> None:
    absent = sorted(set(files) - members)
    if absent:
        raise ArchiveRejected(f"{CARD} names {', '.join(absent)}, which the archive does not hold")


def _digests_agree(opened: zipfile.ZipFile, card: card_pb2.Card, members: frozenset[str]) -> None:
    """Check every file but the card and the manifest against the card."""
    expected = dict(card.digests)
    unnamed = members - {CARD, MANIFEST} - expected.keys()
    if unnamed:
        raise ArchiveRejected(f"{CARD} has no digest of {', '.join(sorted(unnamed))}")
    _all_there(expected, members)
    for member, digest in expected.items():
        with opened.open(member) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # a
            # zip member reads like a file, which is all that file_digest asks for
        if not _SHA256.fullmatch(digest) or found != digest:
            raise ArchiveRejected(f"{member} is not the file that {CARD} was written for")
