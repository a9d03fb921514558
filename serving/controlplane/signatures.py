"""Who signed an archive: OpenSSF model signing with public keys at hand, offline."""

from collections.abc import Sequence
from pathlib import Path

from serving.errors import ArchiveRejected

SUFFIX = ".sig"


def signature_of(archive: Path) -> Path:
    """Return where an archive's signature lies: beside it."""
    return archive.with_name(archive.name + SUFFIX)


def verify(archive: Path, signature: Path, trusted_keys: Sequence[Path]) -> Path:
    """Check that one of the trusted keys signed an archive.

    Args:
        archive: The file.
        signature: Its signature.
        trusted_keys: Public EC keys, PEM.

    Returns:
        The key that signed it.

    Raises:
        ArchiveRejected: None of them did, or the archive was altered since.
    """
    present = [key for key in trusted_keys if key.is_file()]
    if not present:
        looked_for = ", ".join(map(str, trusted_keys)) or "none is set"
        raise ArchiveRejected(
            f"{archive.name}: this server has no trusted signing key ({looked_for}): give it the "
            "signer's public key; `understudy release sign` writes signing-key.pub.pem"
        )
    for key in present:
        if _signed_by(archive, signature, key):
            return key
    names = ", ".join(key.name for key in trusted_keys)
    raise ArchiveRejected(
        f"{archive.name}: the signature is not of a trusted key ({names}), or the archive was "
        "altered after it was signed; take the archive from its builder again, with its .sig"
    )


def _signed_by(archive: Path, signature: Path, key: Path) -> bool:
    from model_signing import verifying  # noqa: PLC0415 - slow to import; only a deploy needs it

    try:
        config = verifying.Config()  # type: ignore[no-untyped-call]  # annotated but for __init__
        config.use_elliptic_key_verifier(public_key=key).verify(archive, signature)
    except Exception:  # noqa: BLE001 - whatever its parsers and OpenSSL raise means: not verified
        return False
    return True
