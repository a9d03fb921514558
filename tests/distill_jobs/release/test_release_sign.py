"""Keys and signatures."""

import re
import stat
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from distill_jobs.errors import SignatureError
from distill_jobs.release import sign


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-1.0.mar"
    path.write_bytes(b"weights" * 1000)
    return path


def test_what_was_signed_verifies(archive: Path, signing_key: Path) -> None:
    signature = sign.sign(archive, signing_key)

    assert signature.name == "tiny-1.0.mar.sig"
    sign.verify(archive, sign.public_key_of(signing_key))


def test_one_altered_byte_is_found(archive: Path, signing_key: Path) -> None:
    sign.sign(archive, signing_key)
    content = bytearray(archive.read_bytes())
    content[3500] ^= 1
    archive.write_bytes(content)

    with pytest.raises(SignatureError, match=r"was altered.* build the archive again") as refused:
        sign.verify(archive, sign.public_key_of(signing_key))
    # One plain sentence, with neither the library's objects nor their digests.
    assert len(refused.value.message.splitlines()) == 1
    assert not re.search(r"Digest|[0-9a-f]{32}|b'", refused.value.message)


def test_another_key_is_found(archive: Path, signing_key: Path, tmp_path: Path) -> None:
    sign.sign(archive, signing_key)
    other = sign.ensure_key(tmp_path / "other.pem")

    with pytest.raises(SignatureError, match="another key signed it"):
        sign.verify(archive, sign.public_key_of(other))


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff\xfe", b'{"payload": 1}'])
def test_a_damaged_signature_is_a_clear_error(
    archive: Path, signing_key: Path, junk: bytes
) -> None:
    sign.signature_of(archive).write_bytes(junk)

    with pytest.raises(SignatureError, match="not what the holder of"):
        sign.verify(archive, sign.public_key_of(signing_key))


def test_missing_files_are_named(archive: Path, signing_key: Path) -> None:
    public_key = sign.public_key_of(signing_key)

    with pytest.raises(SignatureError, match="no such signature"):
        sign.verify(archive, public_key)
    with pytest.raises(SignatureError, match="no such archive"):
        sign.sign(archive.with_name("none.mar"), signing_key)
    with pytest.raises(SignatureError, match="no such private key"):
        sign.sign(archive, archive.with_name("none.pem"))


def test_a_key_that_is_none_signs_nothing(archive: Path, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_bytes(b"junk")

    with pytest.raises(SignatureError, match="cannot be signed"):
        sign.sign(archive, junk)

    assert not sign.signature_of(archive).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junk.pem", "tiny-1.0.mar"]


def test_only_a_model_archive_is_vouched_for(archive: Path, tmp_path: Path) -> None:
    plain = tmp_path / "photos.zip"
    with zipfile.ZipFile(plain, "w") as opened:
        opened.writestr("card.json", "{}")
    renamed = tmp_path / "photos-1.0.mar"
    renamed.write_bytes(plain.read_bytes())

    with pytest.raises(SignatureError, match=r"none\.mar: no such archive"):
        sign.must_be_archive(tmp_path / "none.mar")
    with pytest.raises(SignatureError, match=r"tiny-1\.0\.mar: not a model archive \(no zip"):
        sign.must_be_archive(archive)
    for path in (plain, renamed):
        with pytest.raises(SignatureError, match=f"{path.name}: not a model archive .*MANIFEST"):
            sign.must_be_archive(path)
    with zipfile.ZipFile(renamed, "a") as opened:
        opened.writestr("MAR-INF/MANIFEST.json", "{}")
    sign.must_be_archive(renamed)


def test_a_new_key_is_its_owners_alone_and_stays(tmp_path: Path) -> None:
    key = sign.ensure_key(tmp_path / "home" / "signing-key.pem")
    first = key.read_bytes()

    sign.ensure_key(key)

    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_bytes() == first
    assert sorted(path.name for path in key.parent.iterdir()) == [
        "signing-key.pem",
        "signing-key.pub.pem",
    ]


def test_the_home_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path))

    assert sign.default_key() == tmp_path / "signing-key.pem"


def test_processes_that_make_the_key_at_once_share_one_pair(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4) as processes:
        for number in range(8):
            key = tmp_path / f"{number}.pem"
            privates = set(processes.map(_ensured, [key] * 4))

            assert privates == {key.read_bytes()}
            assert not list(tmp_path.glob(".*"))


def _ensured(key: Path) -> bytes:
    return sign.ensure_key(key).read_bytes()
