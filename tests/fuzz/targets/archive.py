"""Archives: files of a signer gone wrong, or of somebody who has the key."""

import hashlib
import io
import json
import os
import struct
import zipfile
from pathlib import Path, PurePosixPath

import atheris

from serving.controlplane import contents
from serving.errors import ArchiveRejected

MAX_BYTES = 8192
NAME = "student-1.0.mar"
_HEADER = struct.Struct("<4s5H3I2H")
# In memory: a disk would be most of the time.
_MEMORY = os.memfd_create("archive")
_FILE = Path(f"/proc/self/fd/{_MEMORY}")


def seeds() -> list[bytes]:
    """A good archive, and good ones with one thing wrong."""
    good = _files()
    link = zipfile.ZipInfo("weights.onnx")
    link.external_attr = 0o120777 << 16
    odd: list[tuple[str | zipfile.ZipInfo, bytes]] = [
        ("../evil.py", b"import os"),
        ("/evil.py", b"import os"),
        ("./card.json", b"{}"),
        (link, b"/etc/passwd"),
        ("card.json", b"{"),
        ("card.json", b"[" * 3000),
        ("MAR-INF/MANIFEST.json", b"[" * 3000),
        ("MAR-INF/MANIFEST.json", b"[]"),
        ("folder/", b""),
    ]
    whole = _packed(good)
    return [
        whole,
        whole[:-30],
        whole[: len(whole) // 2],
        whole + b"behind",
        b"before" + whole,
        _packed(good, zipfile.ZIP_DEFLATED),
        _packed(good, zipfile.ZIP_LZMA),
        *(_packed({**good, name: content}) for name, content in odd),
    ]


def one(data: bytes) -> None:
    """Refuse it with a reason; or it is, for a reader from its front too, what its card says."""
    os.truncate(_MEMORY, 0)
    os.pwrite(_MEMORY, data, 0)
    try:
        _, card = contents.read_card(_FILE, NAME)
    except ArchiveRejected as refused:
        assert refused.message.startswith(NAME), refused.message
        return
    unpacked = _from_the_front(data)
    vouched_for = dict(card.digests)
    for name, content in unpacked.items():
        assert not PurePosixPath(name).is_absolute()
        assert ".." not in PurePosixPath(name).parts
        if name not in {contents.CARD, contents.MANIFEST}:
            assert vouched_for.pop(name) == hashlib.sha256(content).hexdigest()
    assert not vouched_for
    assert unpacked[contents.CARD] == contents.read_member(_FILE, contents.CARD)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Change the bytes, or one file of the archive and what vouches for it."""
    if seed % 2:
        return bytes(atheris.Mutate(data, max_size))
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            files: dict[str | zipfile.ZipInfo, bytes] = {
                name: opened.read(name) for name in opened.namelist()
            }
    except Exception:  # noqa: BLE001 - not to be unpacked: what would be changed in it?
        return bytes(atheris.Mutate(data, max_size))
    if not files:
        return bytes(atheris.Mutate(data, max_size))
    name = list(files)[seed // 2 % len(files)]
    files[name] = bytes(atheris.Mutate(files[name], max(1, max_size - len(data))))
    if seed % 8:
        files = _vouched_for(files)
    return _packed(files)[:max_size]


def _from_the_front(data: bytes) -> dict[str, bytes]:
    """Return what TorchServe would unpack: it reads no directory."""
    found, at = {}, 0
    while data[at : at + 4] == b"PK\x03\x04":
        *_, size, name_bytes, extra_bytes = _HEADER.unpack_from(data, at)
        begin = at + _HEADER.size + name_bytes + extra_bytes
        name = data[at + _HEADER.size :][:name_bytes].decode()
        if not name.endswith("/"):
            found[name] = data[begin : begin + size]
        at = begin + size
    return found


def _files() -> dict[str | zipfile.ZipInfo, bytes]:
    card = {
        "schema_version": 1,
        "name": "student",
        "version": "1.0",
        "role": "ROLE_STUDENT",
        "task": "TASK_DETECTION",
        "class_names": ["cell", "plate"],
        "post_processing": {"operating_thresholds": [0.25, 0.25]},
        "variants": [
            {
                "name": "onnxruntime-fp32",
                "file": "student.onnx",
                "tolerance": {"min_f1": 0.9, "min_iou": 0.9},
            }
        ],
        "golden_frames": [{"file": "golden/1.jpg", "detections": [{"x2": 4, "y2": 4}]}],
        "digests": {},
    }
    manifest = {"model": {"modelName": "student", "modelVersion": "1.0"}}
    return _vouched_for(
        {
            "card.json": json.dumps(card).encode(),
            "student.onnx": b"weights",
            "golden/1.jpg": b"jpeg",
            "handlers/pipeline.py": b"import os",
            "MAR-INF/MANIFEST.json": json.dumps(manifest).encode(),
        }
    )


def _vouched_for(
    files: dict[str | zipfile.ZipInfo, bytes],
) -> dict[str | zipfile.ZipInfo, bytes]:
    """Return the files, the card with right digests of the others, if it is one."""
    try:
        card = json.loads(files["card.json"])
        card["digests"] = {
            name: hashlib.sha256(content).hexdigest()
            for name, content in files.items()
            if name not in {contents.CARD, contents.MANIFEST}
        }
        return {**files, "card.json": json.dumps(card).encode()}
    except (ValueError, KeyError, TypeError, RecursionError):
        return files


def _packed(
    files: dict[str | zipfile.ZipInfo, bytes], compression: int = zipfile.ZIP_STORED
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return buffer.getvalue()
