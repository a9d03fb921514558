"""NAME-VERSION.mar: staged, packed by torch-model-archiver, published whole or not at all."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import handlers
from distill_jobs.errors import ArchiveFailed, ReleaseExists
from distill_jobs.release import beside, sign

CARD_NAME = "card.json"
HANDLER_NAME = "detection_handler.py"
_ARCHIVER = "model_archiver.model_packaging"
_ARCHIVER_TIMEOUT_S = 300


@dataclass(frozen=True)
class Published:
    """An archive in the model store, and its signature beside it."""

    archive: Path
    signature: Path

    @property
    def file_bytes(self) -> int:
        """Of the archive."""
        return self.archive.stat().st_size

    @property
    def sha256(self) -> str:
        """Of the archive, in hex."""
        return _sha256(self.archive)


def path_in(model_store: Path, key: str) -> Path:
    """Return where the archive of NAME-VERSION lies."""
    return model_store / f"{key}.mar"


def refuse_taken(model_store: Path, key: str) -> None:
    """Make the model store's folder, and fail early where the archive could not be published.

    Raises:
        ReleaseExists: The name and version are taken.
        ArchiveFailed: The model store is no folder that can be written.
    """
    try:
        model_store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArchiveFailed(f"model store {model_store}: cannot be made: {error}") from error
    if not os.access(model_store, os.W_OK | os.X_OK):
        raise ArchiveFailed(f"model store {model_store}: cannot be written; check its mode")
    if path_in(model_store, key).exists():
        raise ReleaseExists(path_in(model_store, key))


def remove(archive: Path) -> None:
    """Remove an archive, then its signature and pages: no archive ever stands there unsigned."""
    archive.unlink(missing_ok=True)
    sign.signature_of(archive).unlink(missing_ok=True)
    beside.remove(archive)


def stage(folder: Path, files: Mapping[str, bytes]) -> dict[str, str]:
    """Lay out an archive's parts, all but the card.

    Args:
        folder: Holds the weights already; gets the `handlers` package and `files`.
        files: Further files by their path in the archive.

    Returns:
        SHA-256 in hex by path in the archive, the flat copy of the handler included.
    """
    package = Path(handlers.__file__).parent
    shutil.rmtree(folder / "handlers", ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(package, folder / "handlers", ignore=ignored)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    digests = {
        path.relative_to(folder).as_posix(): _sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / CARD_NAME
    }
    # The archiver puts the handler at the archive's root as well, where TorchServe looks for it.
    digests[HANDLER_NAME] = digests[f"handlers/{HANDLER_NAME}"]
    return digests


@contextmanager
def undone_on_failure(published: Path) -> Iterator[None]:
    """Take an archive out of the model store again where what belongs to it fails.

    Args:
        published: The archive.

    Raises:
        ArchiveFailed: The file system failed.
    """
    try:
        yield
    except BaseException as error:
        remove(published)
        if isinstance(error, OSError):
            raise ArchiveFailed(f"{published} was taken back: {error}") from error
        raise


def add(folder: Path, name: str, content: bytes) -> str:
    """Add a file to a staged folder, and return its SHA-256, hex."""
    (folder / name).write_bytes(content)
    return _sha256(folder / name)


def publish(
    folder: Path,
    *,
    name: str,
    version: str,
    model_store: Path,
    signing_key: Path,
    packed_as: Callable[[Path], None] = lambda _: None,
) -> Published:
    """Pack a staged folder, sign the archive, and put both into the model store.

    Both are made in a hidden folder of the store. The signature is linked first and the archive
    last, each only if its name is free: whoever sees the archive sees its signature too. Killed in
    between, a signature of nothing is left; the next try replaces it.

    Args:
        folder: What `stage` laid out, with the card.
        name: Of the model.
        version: Of the model.
        model_store: Where to.
        signing_key: Private EC key, PEM.
        packed_as: Told of the archive before it has its name in the store.

    Returns:
        The two paths.

    Raises:
        ReleaseExists: The name and version are taken.
        ArchiveFailed: The archiver or the file system failed.
        SignatureError: The key cannot be used.
    """
    target = path_in(model_store, f"{name}-{version}")
    refuse_taken(model_store, f"{name}-{version}")
    with _hidden_folder(model_store) as hidden:
        packed = hidden / target.name
        _pack(folder, name, version, hidden).replace(packed)
        signature = sign.sign(packed, signing_key)
        for file in (packed, signature):
            _flush(file)
        packed_as(packed)
        with _alone_in(model_store):
            _put(packed, signature, target)
    return Published(target, sign.signature_of(target))


def _put(packed: Path, signature: Path, target: Path) -> None:
    if target.exists():
        raise ReleaseExists(target)
    placed = sign.signature_of(target)
    placed.unlink(missing_ok=True)
    _link(signature, placed)
    _flush(target.parent)  # on the disk too the signature comes first
    try:
        _link(packed, target)
    except BaseException:
        placed.unlink()
        raise
    _flush(target.parent)


def _pack(folder: Path, name: str, version: str, target: Path) -> Path:
    """Run the archiver; it works in its own temporary folder, since it clears TMP/NAME."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-W", "ignore::RuntimeWarning", "-m", _ARCHIVER]
        command += ["--model-name", name, "--version", version, "--runtime", "python3"]
        command += ["--handler", str(folder / "handlers" / HANDLER_NAME)]
        command += ["--extra-files", str(folder), "--export-path", str(target)]
        command += ["--archive-format", "zip-store"]  # weights hardly compress
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter, names that were checked
                command,
                env={**os.environ, "TMPDIR": scratch},
                capture_output=True,
                text=True,
                timeout=_ARCHIVER_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ArchiveFailed(f"torch-model-archiver did not run: {error}") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise ArchiveFailed(f"torch-model-archiver failed: {lines[-1] if lines else 'no message'}")
    return target / f"{name}.mar"


@contextmanager
def _hidden_folder(model_store: Path) -> Iterator[Path]:
    try:
        hidden = Path(tempfile.mkdtemp(prefix=".partial-", dir=model_store))
    except OSError as error:
        raise ArchiveFailed(f"model store {model_store}: cannot be written: {error}") from error
    try:
        yield hidden
    except OSError as error:
        raise ArchiveFailed(f"model store {model_store}: {error}") from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


@contextmanager
def _alone_in(model_store: Path) -> Iterator[None]:
    """Keep other publishers out, so that a signature without an archive is surely nobody's."""
    descriptor = os.open(model_store, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _link(source: Path, target: Path) -> None:
    """Give a file its name, unless that is taken: a rename would replace silently."""
    try:
        os.link(source, target)
    except FileExistsError as error:
        raise ReleaseExists(target) from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
