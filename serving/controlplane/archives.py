"""Private copies: what is verified is what is loaded."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from proto.wire.v1 import card_pb2
from serving.controlplane import contents, signatures
from serving.controlplane.contents import DEFAULT_LIMITS, Limits
from serving.errors import ArchiveRejected
from serving.store.values import ReleaseKey
from serving.whole_file import flush_folder

_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Archive:
    """A verified archive, in this server's own copy.

    Attributes:
        key: Whose it is.
        sha256: Of the whole file.
        path: The private copy; read-only and never changed.
        card: What it says of itself.
    """

    key: ReleaseKey
    sha256: str
    path: Path
    card: card_pb2.Card

    def card_sha256(self) -> str:
        """Return the SHA-256, hex, of its card.json: workers know a card by it. Reads the file."""
        return hashlib.sha256(contents.read_member(self.path, contents.CARD)).hexdigest()

    def golden_image(self, frame: card_pb2.GoldenFrame) -> bytes:
        """Return the encoded image of one of the card's golden frames."""
        return contents.read_member(self.path, frame.file)


class ArchiveStore:
    """Takes archives from the model store into a private folder, named by their digest.

    The copy is made first and everything is checked on the copy, so that nothing can change
    between check and use. All methods block: call them in a thread.

    Args:
        folder: Of the private copies; only this server writes there.
        model_store: Archives are taken from below this folder and from nowhere else.
        trusted_keys: Public keys, PEM; one of them must have signed.
        max_archive_bytes: Of the whole file.
        limits: Of what it holds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        model_store: Path,
        trusted_keys: Sequence[Path],
        max_archive_bytes: int = 4 * 1024**3,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._folder = folder.absolute()
        self._model_store = model_store.absolute()
        self._trusted_keys = tuple(trusted_keys)
        self._max_archive_bytes = max_archive_bytes
        self._limits = limits
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def take(self, path: Path) -> Archive:
        """Copy an archive here, verify the copy and keep it; on a refusal nothing is kept.

        Args:
            path: NAME-VERSION.mar in the model store; a relative path is relative to it.

        Raises:
            ArchiveRejected: It is not there, unsigned, altered, too large or not one of ours.
        """
        source = self._in_model_store(path)
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=self._folder) as incoming:
            copy = Path(incoming) / source.name
            signature = signatures.signature_of(copy)
            sha256 = self._copy(source, copy, self._max_archive_bytes)
            self._copy_signature(source, signature)
            signatures.verify(copy, signature, self._trusted_keys)
            key, card = contents.read_card(copy, source.name, limits=self._limits)
            copy.chmod(0o400)
            kept = self.path(sha256)
            copy.replace(kept)
            flush_folder(self._folder)
        return Archive(key, sha256, kept, card)

    def open(self, sha256: str, key: ReleaseKey) -> Archive:
        """Return an archive that was taken before.

        Raises:
            ArchiveRejected: The private copy is gone or no longer what it was.
        """
        path = self.path(sha256)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ArchiveRejected(f"{key}: its private copy is gone; deploy it again") from error
        if found != sha256:
            raise ArchiveRejected(f"{key}: its private copy was altered; deploy it again")
        _, card = contents.read_card(path, f"{key}.mar", limits=self._limits)
        return Archive(key, sha256, path, card)

    def path(self, sha256: str) -> Path:
        """Return where the private copy of a digest lies."""
        return self._folder / f"{sha256}.mar"

    def remove(self, sha256: str) -> None:
        """Remove a private copy, if it is there."""
        self.path(sha256).unlink(missing_ok=True)

    def sweep(self, keep: AbstractSet[str]) -> None:
        """Remove every private copy but these digests': what a kill at a bad moment has left."""
        for left_over in self._folder.glob(".incoming-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        for copy in self._folder.glob("*.mar"):
            if copy.stem not in keep:
                copy.unlink(missing_ok=True)

    def _in_model_store(self, path: Path) -> Path:
        # Resolved: a link in the model store must not lead to any file of this machine.
        root = self._model_store.resolve()
        try:
            found = (root / path).resolve()
            is_inside, is_file = found.is_relative_to(root), found.is_file()
        except (OSError, RuntimeError, ValueError) as error:  # too long, links in a ring, a NUL
            name = str(path)[:80]
            raise ArchiveRejected(f"path: {name!r} is not a path of this machine") from error
        if not is_inside:
            raise ArchiveRejected(self._outside(path, found, is_file=is_file))
        if found.suffix != ".mar":
            raise ArchiveRejected(f"path: {path.name} is not a NAME-VERSION.mar")
        if not is_file:
            raise ArchiveRejected(
                f"path: no file {path} in the model store, {self._model_store}: copy {found.name} "
                f"and its {signatures.signature_of(found).name} there, or build it"
            )
        return found

    def _outside(self, path: Path, found: Path, *, is_file: bool) -> str:
        """Tell a missing archive from one in the wrong place; other files are told nothing of."""
        outside = f"path: {path} is not in the model store, {self._model_store}"
        if found.suffix != ".mar":
            return f"{outside}: only a NAME-VERSION.mar there can be deployed"
        if not is_file:
            return f"{outside}, and there is no such file: look at its name and folder"
        signature = signatures.signature_of(found).name
        return f"{outside}: copy {found.name} and its {signature} into {self._model_store}"

    def _copy_signature(self, source: Path, target: Path) -> None:
        signature = signatures.signature_of(source)
        if not signature.is_file():
            raise ArchiveRejected(
                f"{source.name} is unsigned: no {signature.name} beside it; "
                "sign it with `understudy release sign`"
            )
        self._copy(signature, target, self._limits.text_bytes)

    @staticmethod
    def _copy(source: Path, target: Path, max_bytes: int) -> str:
        """Copy a file and return its SHA-256, hex."""
        digest, copied = hashlib.sha256(), 0
        try:
            with source.open("rb") as reader, target.open("xb") as writer:
                while chunk := reader.read(_CHUNK_BYTES):
                    copied += len(chunk)
                    if copied > max_bytes:
                        raise ArchiveRejected(f"{source.name} has more than {max_bytes} bytes")
                    digest.update(chunk)
                    writer.write(chunk)
                writer.flush()
                os.fsync(writer.fileno())
        except OSError as error:
            raise ArchiveRejected(f"{source.name} cannot be copied: {error.strerror}") from error
        return digest.hexdigest()
