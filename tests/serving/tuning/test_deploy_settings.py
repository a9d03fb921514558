"""A file of deploy settings: what it holds, what is wrong with it, and when it may not hold."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.errors import ConfigurationError
from serving.machine import Machine, free_memory_bytes, quota_cores
from serving.tuning.deploy_settings import DeployOptions, DeploySettings, Tuned

HERE = Machine(cpu="EPYC", architecture="x86_64", cores=2)
OPTIONS = DeployOptions(workers=2, threads=1, batch_size=4, variant="openvino-int8")
TUNED = Tuned(
    release="student-1.0",
    sha256="ab" * 32,
    frames="2 golden frames",
    frames_per_s=24.5,
    p50_ms=40.0,
    p99_ms=120.0,
    p99_target_ms=200.0,
    answered=300,
    seconds=12.2,
    confirmed=True,
    busy_cores=0.1,
    finished=datetime(2026, 11, 22, tzinfo=UTC),
    understudy="0.1.0",
    commit=None,
    engines={"openvino": "2026.4.1"},
)
SETTINGS = DeploySettings(deploy=OPTIONS, tuned=TUNED, machine=HERE)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "student-1.0.deploy.yaml"

    SETTINGS.write(file, "made by a test")

    assert DeploySettings.read(file) == SETTINGS
    assert file.read_text().startswith("# made by a test\ndeploy:\n  workers: 2\n")


def test_a_file_by_hand_needs_no_more_than_what_is_to_be_deployed(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("deploy: {workers: 3}\n")

    read = DeploySettings.read(file)

    assert (read.deploy.workers, read.deploy.batch_size, read.deploy.threads) == (3, 8, None)
    assert read.doubts("student-1.0", "cd" * 32, HERE) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("deploy: {worker: 2}", "deploy.worker: Extra inputs are not permitted"),
        ("deploy: {threads: 0}", "deploy.threads: Input should be greater than or equal to 1"),
        ("{}", "deploy: Field required"),
        ("", "the file: Input should be"),
        ("a: [", "is not YAML"),
        (None, "cannot be read: No such file"),
    ],
)
def test_what_is_no_such_file_is_refused_by_name(
    tmp_path: Path, text: str | None, told: str
) -> None:
    file = tmp_path / "bad.yaml"
    if text is not None:
        file.write_text(text)

    with pytest.raises(ConfigurationError, match=told) as caught:
        DeploySettings.read(file)

    assert "bad.yaml" in caught.value.message


def test_another_archive_and_another_machine_are_doubted() -> None:
    assert SETTINGS.doubts("student-1.0", "ab" * 32, HERE) == []
    assert SETTINGS.doubts("student-1.0", "ab" * 32, None) == []

    (another,) = SETTINGS.doubts("student-2.0", "cd" * 32, HERE)
    assert another == "they were tuned for student-1.0, not for this student-2.0"
    (rebuilt,) = SETTINGS.doubts("student-1.0", "cd" * 32, HERE)
    assert "another archive of student-1.0" in rebuilt
    bigger = Machine(cpu="EPYC", architecture="x86_64", cores=64, gpus=("H100",))
    (moved,) = SETTINGS.doubts("student-1.0", "ab" * 32, bigger)
    assert "another kind of machine (cores 64, there 2; gpus H100, there none)" in moved


def test_more_backends_than_one_are_doubted() -> None:
    (doubt,) = SETTINGS.doubts("student-1.0", "ab" * 32, HERE, backends=2)

    assert "tuned for one backend, and 2 share this machine" in doubt
    assert doubt.endswith("give --workers 1")


def test_a_containers_limit_on_memory_counts(tmp_path: Path) -> None:
    whole = free_memory_bytes(tmp_path)  # it has no such files
    for name, text in (
        ("memory.max", "1000000"),
        ("memory.current", "700000"),
        ("memory.stat", "anon 1\ninactive_file 200000\n"),
    ):
        (tmp_path / name).write_text(text)

    assert whole > 1_000_000
    assert free_memory_bytes(tmp_path) == 500_000

    (tmp_path / "memory.max").write_text("max")
    assert free_memory_bytes(tmp_path) > 1_000_000


def test_this_machine_is_told() -> None:
    here = Machine.here()

    assert here.cpu
    assert here.cores >= 1
    assert here.differences(here) == []


@pytest.mark.parametrize(
    ("text", "cores"),
    [("200000 100000", 2), ("150000 100000", 2), ("max 100000", None), ("", None), (None, None)],
)
def test_a_containers_limit_counts(tmp_path: Path, text: str | None, cores: int | None) -> None:
    file = tmp_path / "cpu.max"
    if text is not None:
        file.write_text(text)

    assert quota_cores(file) == cores
