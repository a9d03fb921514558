"""`understudy label` as a program: on this machine, and on a cluster that loses a node."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from ray_nodes import ENVIRONMENT, OTHER, ray_nodes, why_not
from small_labelling import IMAGE_SIZE, TEACHER, drawn

pytestmark = pytest.mark.slow
_WHY_NOT = why_not()
_UNDERSTUDY = str(Path(sys.executable).with_name("understudy"))
RESULTS = ("detections.jsonl", "images.txt", "broken.txt")


def command(images: Path, out: Path, *options: str) -> list[str]:
    given = [str(images), "--teacher", str(TEACHER), "--out", str(out), "--shard", "5"]
    return [_UNDERSTUDY, "label", *given, "--image-size", str(IMAGE_SIZE), *options]


def results(out: Path) -> list[bytes]:
    return [(out / name).read_bytes() for name in RESULTS]


def finished(out: Path) -> int:
    return len(list((out / "shards").glob("*.jsonl")))


def listening(pid: int) -> set[str]:
    """Return the addresses that a process and those below it listen on."""
    below = psutil.Process(pid).children(recursive=True)
    found = [one for each in [psutil.Process(pid), *below] for one in each.net_connections("tcp")]
    return {one.laddr.ip for one in found if one.status == psutil.CONN_LISTEN}


def until(reached: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Ask again and again: what is awaited happens in other processes."""
    give_up_at = time.monotonic() + 120
    while not reached():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up_at, "not reached in time"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = drawn(tmp_path_factory.mktemp("frames") / "in", 500)
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def scratch() -> Iterator[str]:
    """Where Ray has its sockets: a short path, since theirs are long, and gone in the end."""
    with tempfile.TemporaryDirectory(prefix="label-", ignore_cleanup_errors=True) as folder:
        yield folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, images: Path, scratch: str) -> Path:
    """What one teacher on this machine makes of them, stopped once on the way."""
    out = tmp_path_factory.mktemp("alone") / "labels"
    home = tmp_path_factory.mktemp("home")
    given = command(images, out, "--workers", "1")
    environment = os.environ | {"HOME": str(home), "TMPDIR": scratch}
    pipe = subprocess.PIPE
    stopped = subprocess.Popen(given, stdout=pipe, stderr=pipe, text=True, env=environment)
    until(lambda: finished(out) >= 3, stopped)
    listens = listening(stopped.pid)
    assert listens
    assert all(one.removeprefix("::ffff:").startswith("127.") for one in listens), listens
    stopped.kill()
    stopped.communicate(timeout=60)
    begun = finished(out)
    assert not (out / "detections.jsonl").exists()

    done = subprocess.run(given, capture_output=True, text=True, env=environment, check=False)

    assert done.returncode == 0, done.stderr
    told = re.search(r"(\d+) of 501 frames were labelled before", done.stdout)
    assert told is not None
    # Its worker may have finished another before it noticed.
    assert 5 * begun <= int(told[1]) < 501
    assert "labelled: 500 frames" in done.stdout
    assert "no picture: 1" in done.stdout
    assert not list(home.iterdir())
    return out


def test_it_is_stopped_and_goes_on_and_leaves_nothing_at_home(alone: Path) -> None:
    assert finished(alone) == 101
    assert b"broken.jpg\t" in (alone / "broken.txt").read_bytes()
    assert len((alone / "images.txt").read_text().splitlines()) == 500


@pytest.mark.skipif(bool(_WHY_NOT), reason=_WHY_NOT)
def test_a_cluster_that_loses_a_node_makes_the_same_of_them(
    tmp_path: Path, images: Path, alone: Path
) -> None:
    out = tmp_path / "labels"
    with ray_nodes() as nodes:
        given = [*nodes.inside, *command(images, out, "--ray-address", nodes.address)]
        pipe = subprocess.PIPE
        labelling = subprocess.Popen(given, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT)
        until(lambda: finished(out) >= 10, labelling)
        nodes.kill(OTHER)
        left = 101 - finished(out)
        said, errors = labelling.communicate(timeout=200)

    assert labelling.returncode == 0, errors
    assert left > 0, "the node outlived the work"
    assert "labelled: 500 frames" in said
    assert results(out) == results(alone)


def test_a_head_that_does_not_answer_is_told_at_once(tmp_path: Path, images: Path) -> None:
    given = command(images, tmp_path / "labels", "--ray-address", "127.0.0.1:1")

    done = subprocess.run(given, capture_output=True, text=True, env=ENVIRONMENT, check=False)

    assert done.returncode == 2
    assert "no Ray cluster answers at 127.0.0.1:1" in done.stderr
