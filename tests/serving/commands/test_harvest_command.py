import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.commands.harvest import harvest_app
from serving.dataplane.agreement import compare
from serving.dataplane.harvest_folder import HarvestFolder
from serving.dataplane.harvest_frame import ArmAnswer, Disagreement
from serving.dataplane.harvest_writer import write_frame
from serving.store.values import Release, ReleaseKey, ReleaseState
from serving.torchserve.inference import WorkerReply


def add(folder: Path, camera_id: str, at: datetime) -> None:
    release = Release(
        key=ReleaseKey(model="teacher", version="1.0"),
        sha256="0" * 64,
        role="teacher",
        class_names=("cell",),
        operating_thresholds=(0.25,),
        quality_measured=True,
        state=ReleaseState.READY,
        created=at,
        updated=at,
    )
    reply = WorkerReply(9, 9, (1.0, 2.0, 3.0, 4.0), (0.5,), (0,), "v", 0, 0, 0, 0, 1)
    answer = ArmAnswer("teacher", release, reply)
    image = b"\xff\xd8\xff" + bytes(100_000)
    sums = compare(reply, reply)
    frame = Disagreement(image, camera_id, "", at, "default", 1, answer, answer, sums)
    assert write_frame(folder, frame) is not None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two frames of gate-7, an old and a new one, and a new one of gate-8."""
    add(tmp_path, "gate-7", datetime(2026, 1, 5, 12, tzinfo=UTC))
    for camera in ("gate-7", "gate-8"):
        add(tmp_path, camera, datetime.now(UTC))
    return tmp_path


def cameras_in(folder: Path) -> list[str | None]:
    return sorted(str(frame.camera_id()) for frame in HarvestFolder(folder).frames())


def test_show_tells_counts_size_and_age(folder: Path) -> None:
    shown = CliRunner().invoke(harvest_app, ["show", str(folder)])

    assert shown.exit_code == 0
    row = next(line for line in shown.output.splitlines() if line.strip().startswith("default-"))
    assert re.search(r"default-\w{8} +[12] +[12] +2 +0\.3 +2026-01-05 12:00", row)
    assert "3 frames, 0.3 MB" in shown.output


def test_the_folder_is_the_one_that_the_gateways_are_told(folder: Path) -> None:
    env = {"UNDERSTUDY_HARVEST_DIR": str(folder)}

    shown = CliRunner().invoke(harvest_app, ["show"], env=env)

    assert "3 frames" in shown.output


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--camera", "gate-7"], ["gate-8"]),
        (["--camera", "gate-7", "--camera", "gate-8"], []),
        (["--older-than-days", "1"], ["gate-7", "gate-8"]),
        (["--camera", "gate-8", "--older-than-days", "1"], ["gate-7", "gate-7", "gate-8"]),
        (["--all"], []),
    ],
)
def test_purge_deletes_what_it_is_told(folder: Path, options: list[str], left: list[str]) -> None:
    purged = CliRunner().invoke(harvest_app, ["purge", str(folder), *options])

    assert purged.exit_code == 0
    assert f"deleted {3 - len(left)} frames" in purged.output
    assert cameras_in(folder) == left
    assert len(list(folder.rglob("*.json"))) == len(left)


@pytest.mark.parametrize("options", [[], ["--all", "--camera", "gate-7"]])
def test_purge_without_a_word_of_what_deletes_nothing(folder: Path, options: list[str]) -> None:
    purged = CliRunner().invoke(harvest_app, ["purge", str(folder), *options])

    assert purged.exit_code == 2
    assert "say what to delete" in purged.output
    assert len(cameras_in(folder)) == 3


def test_purge_says_what_it_could_not_tell_the_camera_of(folder: Path) -> None:
    HarvestFolder(folder).frames()[0].answers.unlink()

    purged = CliRunner().invoke(harvest_app, ["purge", str(folder), "--camera", "gate-7"])

    assert purged.exit_code == 1
    assert "1 frames do not tell their camera" in purged.output
    assert len(HarvestFolder(folder).frames()) == 2


@pytest.mark.parametrize("command", [["show"], ["purge", "--all"]])
def test_a_folder_that_is_not_there_is_told(tmp_path: Path, command: list[str]) -> None:
    told = CliRunner().invoke(harvest_app, [*command, str(tmp_path / "absent")])

    assert told.exit_code == 1
    assert "is not there" in told.output


def test_the_command_needs_no_package_of_an_island() -> None:
    check = (
        "import sys, serving.commands.harvest;"
        "print(sorted({'numpy', 'scipy', 'orjson', 'grpc', 'aiohttp'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
