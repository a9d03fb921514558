from pathlib import Path

import pytest

from serving.errors import ConfigurationError
from serving.worker.worker_key import WorkerKey

SECRET = "0123456789abcdef" * 2


def test_a_key_is_read_without_its_line_end_and_opens_to_itself_alone(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(SECRET + "\n")

    key = WorkerKey.read(file)

    assert key.header() == {"Authorization": f"Bearer {SECRET}"}
    assert key.is_in(SECRET)
    assert not any(map(key.is_in, (None, "", SECRET[:-1], SECRET + "\n", SECRET.upper(), "\xe9")))


def test_a_key_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(SECRET)

    assert SECRET not in repr(WorkerKey.read(tmp_path / "key"))


def test_no_key_a_short_one_and_no_text_are_refused_and_nothing_of_it_is_told(
    tmp_path: Path,
) -> None:
    short, binary = tmp_path / "short", tmp_path / "binary"
    short.write_text("hunter2")
    binary.write_bytes(b"\xff" * 40)

    with pytest.raises(ConfigurationError, match="UNDERSTUDY_WORKER_KEY_FILE"):
        WorkerKey.read(None)
    with pytest.raises(ConfigurationError, match="has 7 characters; it must have 32") as told:
        WorkerKey.read(short)
    assert "hunter2" not in told.value.message
    for file in (binary, tmp_path / "absent"):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            WorkerKey.read(file)
