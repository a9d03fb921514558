import subprocess
import sys
from pathlib import Path

import pytest

from serving.errors import ConfigurationError
from serving.supervisor.processes import ProcessesFile, ProcessInfo, read_processes
from serving.supervisor.state_folder import instance, owned


def test_a_folder_is_held_once(tmp_path: Path) -> None:
    with owned(tmp_path / "state"), pytest.raises(ConfigurationError, match="is in use"):
        owned(tmp_path / "state").__enter__()


def test_a_child_that_inherits_the_lock_holds_the_folder_on(tmp_path: Path) -> None:
    with owned(tmp_path) as lock:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock]
        )

    with pytest.raises(ConfigurationError, match="is in use"):
        owned(tmp_path).__enter__()
    child.communicate()
    with owned(tmp_path):
        pass


def test_a_deployment_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()

    assert instance(tmp_path) == instance(tmp_path)
    assert instance(tmp_path) != instance(tmp_path / "other")


def test_the_file_tells_what_runs_and_goes_with_the_supervisor(tmp_path: Path) -> None:
    processes = {"gateway-1": ProcessInfo(pid=7, up=True, restarts=0)}
    file = ProcessesFile(tmp_path)

    with file.kept(lambda: processes):
        at_first = read_processes(tmp_path)
        processes["gateway-1"] = ProcessInfo(pid=8, up=True, restarts=1)
        file.write()
        later = read_processes(tmp_path)

    assert at_first["gateway-1"].pid == 7
    assert later == processes
    assert read_processes(tmp_path) == {}
