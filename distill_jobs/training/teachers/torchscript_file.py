"""A TorchScript archive whose program was looked at before torch may run it.

TorchScript is a programming language: torch runs an archive's `__setstate__` when it loads it and
its `forward` at each image. Among the operators that it offers are some that read and write files.
No detector's export uses them.
"""

import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from distill_jobs.errors import CheckpointRefused

# Operators on files, by whatever alias they are called.
_ON_FILES = re.compile(rb"\b(?:save|from_file)\b")
# Exporters write `getattr(self.model, "22")` where a layer's name is a number. Written another way
# it would name an operator that no search for its name finds.
_BY_NAME = re.compile(rb"\bgetattr\b")
_TEXT = re.compile(rb'"[^"]*"(\s*")?')
# Other libraries' operators: torchvision's `image` reads and writes files.
_OF_OTHERS = re.compile(rb"(?<![.\w])ops\b(?!\.(?:aten|prim|quantized|torchvision)\.)")
# Objects of C++ classes, which are made and called by name; a pickle may break the name in two
# lines, a program by a comment.
_CLASSES = re.compile(rb"\btorch(?:[\s.\\]|#[^\n]*)+classes\b")
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MOST_UNPACKED_BYTES = 64 * 1024**2
_WORDS = re.compile(rb"[\w.]+")


@dataclass(frozen=True)
class TorchScriptFile:
    """An archive that was looked at.

    Attributes:
        content: What was looked at, and nothing else: torch is to load this, not the file.
        config: `config.txt`, which YOLOv5's and ultralytics' exporters add; b"" without it.
    """

    content: io.BytesIO
    config: bytes


def read_torchscript(file: Path) -> TorchScriptFile:
    """Read a TorchScript archive and its program.

    Raises:
        CheckpointRefused: It is no such archive, is damaged, or its program is more than that of a
            network.
    """
    content, config = io.BytesIO(), b""
    try:
        with zipfile.ZipFile(file) as archive, zipfile.ZipFile(content, "w") as copy:
            for entry in archive.infolist():
                part = _unpacked(file, archive, entry)
                _check(file, entry.filename, part)
                copy.writestr(entry.filename, part)
                if entry.filename.endswith("/extra/config.txt"):
                    config = part
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise CheckpointRefused(file, "not a readable TorchScript archive") from error
    content.seek(0)
    return TorchScriptFile(content, config)


def _unpacked(file: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Return a part; torch packs programs, by deflate, and nothing that is large."""
    packed = entry.compress_type != zipfile.ZIP_STORED
    most = _MOST_UNPACKED_BYTES if packed else file.stat().st_size
    if entry.compress_type not in _PACKINGS:
        raise CheckpointRefused(file, f"{entry.filename} is packed as torch never packs")
    if entry.file_size > most:
        raise CheckpointRefused(
            file, f"{entry.filename} would have {entry.file_size} bytes; at most {most} may be"
        )
    with archive.open(entry) as part:
        return part.read(entry.file_size)  # `read()` would unpack all there is, then cut


def _check(file: Path, name: str, part: bytes) -> None:
    plain = name.lower()  # torch finds `code.PY` where it looks for `code.py`
    if plain.endswith("/model.json"):  # it may call any other file a program
        raise CheckpointRefused(file, "was written by a torch before 1.4: export it anew, to ONNX")
    program = plain.endswith(".py")
    found = program and (_ON_FILES.search(part) or _OF_OTHERS.search(part) or _hidden(part))
    found = found or ((program or plain.endswith(".pkl")) and _CLASSES.search(part))
    if found:
        named = b" ".join(_WORDS.findall(found.group())).decode()
        raise CheckpointRefused(
            file,
            f"its program names `{named}` ({name}), which no network needs and "
            "which can reach files. Export it to ONNX, or ask whoever gave it to you",
        )


def _hidden(program: bytes) -> re.Match[bytes] | None:
    """Return a use of `getattr` where texts may say another name than they spell.

    By an escape, another quote, a comment's quotes, or in several pieces.
    """
    in_pieces = any(text[1] for text in _TEXT.finditer(program))
    plain = not in_pieces and not any(sign in program for sign in (b"\\", b"'", b"#"))
    return None if plain else _BY_NAME.search(program)
