"""Signatures of archives: OpenSSF model signing with a local key, no network."""

import contextlib
import os
import zipfile
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from distill_jobs.errors import SignatureError

KEY_NAME = "signing-key.pem"
_MANIFEST = "MAR-INF/MANIFEST.json"


def default_key() -> Path:
    """Return where the private key lies: `UNDERSTUDY_HOME`, or `~/.understudy`."""
    home = os.environ.get("UNDERSTUDY_HOME")
    return (Path(home) if home else Path.home() / ".understudy") / KEY_NAME


def public_key_of(private_key: Path) -> Path:
    """Return where the public half of a key lies: `NAME.pub.pem` beside `NAME.pem`."""
    return private_key.with_name(f"{private_key.stem}.pub.pem")


def signature_of(archive: Path) -> Path:
    """Return where an archive's signature lies: `NAME-VERSION.mar.sig` beside it."""
    return archive.with_name(f"{archive.name}.sig")


def ensure_key(private_key: Path) -> Path:
    """Make a key pair (EC P-256) unless the private key exists, and its public half where missing.

    Args:
        private_key: Where it lies, PEM; made with mode 0600, its folder with 0700.

    Returns:
        `private_key`.

    Raises:
        SignatureError: The key cannot be written or read.
    """
    try:
        private_key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not private_key.exists():
            _create(private_key, _new_key(), mode=0o600)
        public_key = public_key_of(private_key)
        if not public_key.exists():
            _create(public_key, _public_half(private_key), mode=0o644)
    except OSError as error:
        raise SignatureError(
            f"{private_key}: the signing key cannot be written: {error}"
        ) from error
    return private_key


def must_be_archive(path: Path) -> None:
    """Refuse to vouch for a file that is no model archive: no server would take it.

    Raises:
        SignatureError: It is missing, no zip, or holds no manifest.
    """
    _must_exist(path, "archive")
    remedy = "give the NAME-VERSION.mar that `understudy release build` or a job wrote"
    try:
        with zipfile.ZipFile(path) as opened:
            names = opened.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise SignatureError(f"{path}: not a model archive (no zip file); {remedy}") from error
    if path.suffix != ".mar" or _MANIFEST not in names:
        raise SignatureError(f"{path}: not a model archive (.mar with {_MANIFEST}); {remedy}")


def sign(archive: Path, private_key: Path, signature: Path | None = None) -> Path:
    """Sign an archive.

    Args:
        archive: What to sign.
        private_key: EC key, PEM.
        signature: Where to write it, in one step; beside the archive otherwise.

    Returns:
        The signature's path.

    Raises:
        SignatureError: The archive or the key is missing or cannot be used.
    """
    _must_exist(archive, "archive")
    _must_exist(private_key, "private key", "make one with `understudy release sign`")
    target = signature or signature_of(archive)
    partial = target.with_name(f".{target.name}.partial")
    from model_signing import signing  # noqa: PLC0415 - slow to import, and only signing needs it

    try:
        signer = signing.Config()  # type: ignore[no-untyped-call]  # annotated but for __init__
        signer = signer.use_elliptic_key_signer(private_key=private_key)
        signer.sign(archive, partial)
        partial.replace(target)
    except (ValueError, OSError, TypeError) as error:
        raise SignatureError(f"{archive}: cannot be signed with {private_key}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return target


def verify(archive: Path, public_key: Path, signature: Path | None = None) -> None:
    """Check that an archive is what the key's holder signed.

    Args:
        archive: What to check.
        public_key: EC public key, PEM.
        signature: The signature; beside the archive otherwise.

    Raises:
        SignatureError: A file is missing, or the archive, signature and key do not fit together.
    """
    found = signature or signature_of(archive)
    _must_exist(archive, "archive")
    _must_exist(found, "signature", "sign it with `understudy release sign`")
    _must_exist(public_key, "public key")
    from model_signing import verifying  # noqa: PLC0415 - as above

    try:
        checker = verifying.Config()  # type: ignore[no-untyped-call]  # as above
        checker = checker.use_elliptic_key_verifier(public_key=public_key)
        checker.verify(archive, found)
    except Exception as error:  # the library raises what its parsers and OpenSSL raise
        raise SignatureError(
            f"{archive}: not what the holder of {public_key} signed: the archive or {found.name} "
            "was altered, or another key signed it; get both anew from their builder, or build "
            "the archive again"
        ) from error


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _public_half(private_key: Path) -> bytes:
    try:
        key = serialization.load_pem_private_key(private_key.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise SignatureError(f"{private_key}: not an unencrypted private key in PEM") from error
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _create(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that nobody else could open in between, whole or not at all.

    A file that another process made meanwhile stays: it may have signed with that key already.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _must_exist(path: Path, what: str, remedy: str = "") -> None:
    if not path.is_file():
        raise SignatureError(f"{path}: no such {what}" + (f"; {remedy}" if remedy else ""))
