"""What is taken, and what is refused with nothing left behind."""

import io
import json
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distill_jobs.release import sign
from proto.wire.v1 import card_pb2
from serving.controlplane.archives import ArchiveStore
from serving.controlplane.contents import Limits
from serving.controlplane.layout import check_layout
from serving.errors import ArchiveRejected
from serving.store.values import ReleaseKey

KEY = ReleaseKey(model="student", version="1.0")


@pytest.fixture(scope="module")
def built(archives: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One good archive, built once; tests copy it."""
    path: Path = archives.build(tmp_path_factory.mktemp("good"))
    return path


@pytest.fixture
def model_store(tmp_path: Path, built: Path) -> Path:
    shutil.copytree(built.parent, tmp_path / "model_store")
    return tmp_path / "model_store"


@pytest.fixture
def store(tmp_path: Path, model_store: Path, archives: Any) -> ArchiveStore:
    return ArchiveStore(
        tmp_path / "private", model_store=model_store, trusted_keys=[archives.public_key]
    )


def rewrite(
    archive: Path,
    archives: Any,
    change: Callable[[dict[str, bytes]], None],
) -> None:
    """Change an archive's files and sign it again, as a builder gone wrong would."""
    with zipfile.ZipFile(archive) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    change(files)
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    sign_again(archive, archives)


def sign_again(archive: Path, archives: Any) -> None:
    sign.signature_of(archive).unlink()
    sign.sign(archive, archives.signing_key)


def refuse(store: ArchiveStore, path: Path | str, match: str) -> None:
    """Check that an archive is refused and that no trace of it is left."""
    with pytest.raises(ArchiveRejected, match=match):
        store.take(Path(path))
    assert list(store.path("x").parent.iterdir()) == []


def test_a_good_archive_is_copied_named_by_its_digest_and_read_only(
    store: ArchiveStore, model_store: Path
) -> None:
    taken = store.take(Path("student-1.0.mar"))
    assert taken.key == KEY
    assert taken.path == store.path(taken.sha256)
    assert stat.S_IMODE(taken.path.stat().st_mode) == 0o400
    assert stat.S_IMODE(taken.path.parent.stat().st_mode) == 0o700
    assert taken.path.read_bytes() == (model_store / "student-1.0.mar").read_bytes()
    assert taken.golden_image(taken.card.golden_frames[0])[:2] == b"\xff\xd8"
    assert list(taken.path.parent.iterdir()) == [taken.path]

    (model_store / "student-1.0.mar").unlink()
    assert store.open(taken.sha256, KEY).card == taken.card
    store.sweep({taken.sha256})
    assert taken.path.exists()
    store.sweep(frozenset())
    assert not taken.path.exists()


def test_a_copy_that_was_altered_is_not_opened(store: ArchiveStore) -> None:
    taken = store.take(Path("student-1.0.mar"))
    taken.path.chmod(0o600)
    taken.path.write_bytes(taken.path.read_bytes() + b"x")
    with pytest.raises(ArchiveRejected, match="altered"):
        store.open(taken.sha256, KEY)
    store.remove(taken.sha256)
    with pytest.raises(ArchiveRejected, match="gone; deploy it again"):
        store.open(taken.sha256, KEY)


def test_an_unsigned_archive_is_refused(store: ArchiveStore, model_store: Path) -> None:
    (model_store / "student-1.0.mar.sig").unlink()
    refuse(store, "student-1.0.mar", r"unsigned: no student-1\.0\.mar\.sig beside it")


def test_an_altered_archive_is_refused(store: ArchiveStore, model_store: Path) -> None:
    path = model_store / "student-1.0.mar"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refuse(store, path, "not of a trusted key .*or the archive was altered")


def test_a_signature_of_somebody_else_is_refused(
    store: ArchiveStore, model_store: Path, tmp_path: Path
) -> None:
    path = model_store / "student-1.0.mar"
    sign.signature_of(path).unlink()
    sign.sign(path, sign.ensure_key(tmp_path / "stranger.pem"))
    refuse(store, path, "not of a trusted key")


def test_a_damaged_signature_is_refused(store: ArchiveStore, model_store: Path) -> None:
    (model_store / "student-1.0.mar.sig").write_text('{"not": "a signature"}')
    refuse(store, "student-1.0.mar", "not of a trusted key")


def test_without_a_trusted_key_everything_is_refused(tmp_path: Path, model_store: Path) -> None:
    store = ArchiveStore(
        tmp_path / "private", model_store=model_store, trusted_keys=[tmp_path / "absent.pem"]
    )
    refuse(store, "student-1.0.mar", r"no trusted signing key \(.*absent\.pem\)")


def test_one_of_several_trusted_keys_is_enough(
    tmp_path: Path, model_store: Path, archives: Any
) -> None:
    other = sign.public_key_of(sign.ensure_key(tmp_path / "other.pem"))
    store = ArchiveStore(
        tmp_path / "private", model_store=model_store, trusted_keys=[other, archives.public_key]
    )
    assert store.take(Path("student-1.0.mar")).key == KEY


def test_nothing_outside_the_model_store_is_read(
    store: ArchiveStore, model_store: Path, tmp_path: Path, built: Path
) -> None:
    copy = r"not in the model store, .*: copy student-1\.0\.mar and its student-1\.0\.mar\.sig"
    refuse(store, built, copy)
    refuse(store, tmp_path / "absent-1.0.mar", "not in the model store, .* there is no such file")
    refuse(store, "../../etc/passwd", "not in the model store")
    (model_store / "link-1.0.mar").symlink_to(built)
    refuse(store, "link-1.0.mar", "not in the model store")
    refuse(store, "student-2.0.mar", "no file student-2.0.mar in the model store, .*: copy ")
    refuse(store, "student-1.0.mar.sig", "not a NAME-VERSION.mar")


@pytest.mark.parametrize("path", ["a\0b.mar", "a" * 5000 + ".mar", "ring.mar"])
def test_a_path_that_is_none_is_refused(store: ArchiveStore, model_store: Path, path: str) -> None:
    (model_store / "ring.mar").symlink_to("ring.mar")
    refuse(store, path, "path: ")


def test_an_archive_that_was_damaged_before_it_was_signed_is_refused(
    store: ArchiveStore, model_store: Path, archives: Any
) -> None:
    path = model_store / "student-1.0.mar"
    content = bytearray(path.read_bytes())
    content[content.index(b'"schema_version"')] ^= 1
    path.write_bytes(content)
    sign_again(path, archives)

    refuse(store, path, r"student-1\.0\.mar: not a readable archive \(Bad CRC-32")


@pytest.mark.parametrize("name", ["card.json", "MAR-INF/MANIFEST.json"])
def test_an_archive_without_its_card_or_manifest_is_refused(
    store: ArchiveStore, model_store: Path, archives: Any, name: str
) -> None:
    rewrite(model_store / "student-1.0.mar", archives, lambda files: files.pop(name) and None)
    refuse(store, "student-1.0.mar", f"no {name} in it")


def test_the_file_must_be_called_what_the_card_says(
    store: ArchiveStore, model_store: Path, archives: Any
) -> None:
    path = (model_store / "student-1.0.mar").rename(model_store / "teacher-1.0.mar")
    (model_store / "student-1.0.mar.sig").rename(sign.signature_of(path))
    refuse(store, path, r"the file must be called student-1\.0\.mar")


def test_the_manifest_must_agree_with_the_card(
    store: ArchiveStore, model_store: Path, archives: Any
) -> None:
    def other_version(files: dict[str, bytes]) -> None:
        manifest = json.loads(files["MAR-INF/MANIFEST.json"])
        manifest["model"]["modelVersion"] = "2.0"
        files["MAR-INF/MANIFEST.json"] = json.dumps(manifest).encode()

    rewrite(model_store / "student-1.0.mar", archives, other_version)
    refuse(store, "student-1.0.mar", r"the card is of student-1\.0 and .* of student-2\.0")


@pytest.mark.parametrize(
    "name",
    [
        "../escape.py",
        "/etc/escape.py",
        "a\\..\\escape.py",
        "C:escape.py",
        "a/../../b",
        "./card.json",
        "golden//1.jpg",
    ],
)
def test_a_path_that_leads_out_is_refused(
    store: ArchiveStore, model_store: Path, archives: Any, name: str
) -> None:
    rewrite(model_store / "student-1.0.mar", archives, lambda files: files.update({name: b"x"}))
    refuse(store, "student-1.0.mar", "leads out of the archive")


def test_a_link_is_refused(store: ArchiveStore, model_store: Path, archives: Any) -> None:
    path = model_store / "student-1.0.mar"
    with zipfile.ZipFile(path, "a") as opened:
        link = zipfile.ZipInfo("passwd")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "/etc/passwd")
    sign_again(path, archives)
    refuse(store, path, "'passwd' is a link")


def test_a_file_that_is_there_twice_is_refused(
    store: ArchiveStore, model_store: Path, archives: Any
) -> None:
    path = model_store / "student-1.0.mar"
    with zipfile.ZipFile(path, "a") as opened, pytest.warns(UserWarning, match="Duplicate"):
        opened.writestr("card.json", "{}")
    sign_again(path, archives)
    refuse(store, path, "a file twice")


def test_a_file_that_the_card_does_not_vouch_for_is_refused(
    store: ArchiveStore, model_store: Path, archives: Any
) -> None:
    path = model_store / "student-1.0.mar"
    rewrite(path, archives, lambda files: files.update({"handlers/more.py": b"import os"}))
    refuse(store, path, r"no digest of handlers/more\.py")
    rewrite(path, archives, lambda files: files.pop("handlers/more.py") and None)
    rewrite(path, archives, lambda files: files.update({"student.onnx": b"other weights"}))
    refuse(store, path, r"student\.onnx is not the file that card\.json was written for")


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_nothing_is_unpacked_so_no_bomb_can_be(
    store: ArchiveStore, model_store: Path, archives: Any, kind: int
) -> None:
    path = model_store / "student-1.0.mar"
    with zipfile.ZipFile(path, "a", kind) as opened:
        opened.writestr("zeros", bytes(50_000_000))
    sign_again(path, archives)
    refuse(store, path, r"'zeros' is compressed; archives hold files as they are \(zip-store\)")


def test_an_archive_beyond_its_limits_is_refused(
    tmp_path: Path, model_store: Path, archives: Any
) -> None:
    for limits, said in (
        (Limits(members=3), "at most 3 may be"),
        (Limits(text_bytes=100), "card.json is larger than 100 bytes|sig has more than 100 bytes"),
    ):
        store = ArchiveStore(
            tmp_path / "private",
            model_store=model_store,
            trusted_keys=[archives.public_key],
            limits=limits,
        )
        refuse(store, "student-1.0.mar", said)
    small = ArchiveStore(
        tmp_path / "private",
        model_store=model_store,
        trusted_keys=[archives.public_key],
        max_archive_bytes=1000,
    )
    refuse(small, "student-1.0.mar", "more than 1000 bytes")


def insert(path: Path, at: int, content: bytes) -> None:
    """Put bytes between an archive's files; its directory moves on, and says nothing of them."""
    whole = path.read_bytes()
    end = whole.rindex(b"PK\x05\x06")
    (directory,) = struct.unpack_from("<I", whole, end + 16)
    tail = whole[end : end + 16] + struct.pack("<I", directory + len(content)) + whole[end + 20 :]
    path.write_bytes(whole[:at] + content + whole[at:end] + tail)


def entry(name: str, content: bytes) -> bytes:
    """Return a file as it stands in an archive, without any directory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr(name, content)
        return buffer.getvalue()[: opened.start_dir]


def test_a_file_that_only_a_reader_from_the_front_finds_is_refused(
    store: ArchiveStore, model_store: Path, archives: Any
) -> None:
    path = model_store / "student-1.0.mar"
    with zipfile.ZipFile(path) as opened:
        directory = opened.start_dir
    insert(path, directory, entry("../../evil.py", b"import os"))
    sign_again(path, archives)
    refuse(store, path, rf"its bytes {directory} to \d+ are no file of its directory")


def test_a_file_before_all_others_is_refused(
    store: ArchiveStore, model_store: Path, archives: Any
) -> None:
    path = model_store / "student-1.0.mar"
    hidden = entry("card.json", b"{}")
    path.write_bytes(hidden + path.read_bytes())
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None  # a program in front of its data is nothing odd to Python
    sign_again(path, archives)
    refuse(store, path, rf"its bytes 0 to {len(hidden)} are no file of its directory")


@pytest.mark.parametrize(
    ("at", "value"),
    [(0, b"PK\x03\x05"), (6, b"\x08"), (8, b"\x08"), (14, b"\0\0\0\0"), (18, b"\1"), (30, b"C")],
    ids=["signature", "flags", "method", "crc", "size", "name"],
)
def test_a_file_that_is_another_in_its_own_header_is_refused(
    store: ArchiveStore, model_store: Path, archives: Any, at: int, value: bytes
) -> None:
    path = model_store / "student-1.0.mar"
    content = bytearray(path.read_bytes())
    start = content.index(b"card.json") - 30
    content[start + at : start + at + len(value)] = value
    path.write_bytes(content)
    sign_again(path, archives)
    refuse(store, path, "'card.json' is another file in its header than in the directory")


def test_an_archive_with_a_file_of_many_gigabytes_keeps_its_sizes_elsewhere(
    tmp_path: Path,
) -> None:
    path = tmp_path / "large.zip"
    with zipfile.ZipFile(path, "w") as opened:
        with opened.open("weights", "w", force_zip64=True) as file:
            file.write(b"many")
        opened.writestr("card.json", "{}")
    with path.open("rb") as raw, zipfile.ZipFile(raw) as opened:
        flags = opened.getinfo("weights").flag_bits
        check_layout(opened, raw)
    assert flags == 0


def test_what_is_no_archive_is_refused(
    store: ArchiveStore, model_store: Path, archives: Any
) -> None:
    path = model_store / "student-1.0.mar"
    path.write_bytes(b"PK\x03\x04 but not really")
    sign_again(path, archives)
    refuse(store, path, "not a readable archive")


def _changes() -> dict[str, tuple[Callable[[card_pb2.Card], None], str]]:
    def thresholds(card: card_pb2.Card) -> None:
        card.post_processing.operating_thresholds.append(0.5)

    def segmentation(card: card_pb2.Card) -> None:
        card.task = card_pb2.TASK_UNSPECIFIED

    def other_schema(card: card_pb2.Card) -> None:
        card.schema_version = 2

    def absent_weights(card: card_pb2.Card) -> None:
        card.variants[0].file = "absent.onnx"

    def odd_version(card: card_pb2.Card) -> None:
        card.version = "1.0-rc1"

    def odd_threshold(card: card_pb2.Card) -> None:
        card.post_processing.operating_thresholds[0] = float("nan")

    def no_tolerance(card: card_pb2.Card) -> None:
        card.variants[0].ClearField("tolerance")

    return {
        "tolerance": (no_tolerance, "min_f1 and min_iou must be above 0"),
        "threshold": (odd_threshold, "operating_thresholds must be 0 to 1"),
        "task": (segmentation, "task is TASK_UNSPECIFIED; this server serves TASK_DETECTION"),
        "schema": (other_schema, "schema_version is 2"),
        "thresholds": (thresholds, "3 operating_thresholds for 2 class_names"),
        "weights": (absent_weights, "names absent.onnx, which the archive does not hold"),
        "version": (odd_version, "version '1.0-rc1'"),
        "golden": (lambda card: card.ClearField("golden_frames"), "golden_frames missing"),
        "variants": (lambda card: card.ClearField("variants"), "variants missing"),
        "role": (lambda card: card.ClearField("role"), "role missing"),
    }


@pytest.mark.parametrize("field", list(_changes()))
def test_a_card_that_cannot_be_served_is_refused(
    store: ArchiveStore, model_store: Path, archives: Any, field: str
) -> None:
    change, said = _changes()[field]

    def edit(files: dict[str, bytes]) -> None:
        from google.protobuf import json_format

        card = json_format.Parse(files["card.json"], card_pb2.Card())
        change(card)
        files["card.json"] = json_format.MessageToJson(card).encode()

    rewrite(model_store / "student-1.0.mar", archives, edit)
    refuse(store, "student-1.0.mar", said)


@pytest.mark.parametrize(
    "text", ["{", "7", '{"schema_version": 1, "surprise": true}', '{"schema_version": "one"}']
)
def test_a_card_that_is_none_is_refused(
    store: ArchiveStore, model_store: Path, archives: Any, text: str
) -> None:
    path = model_store / "student-1.0.mar"
    rewrite(path, archives, lambda files: files.update({"card.json": text.encode()}))
    refuse(store, path, r"card\.json is not a card")
