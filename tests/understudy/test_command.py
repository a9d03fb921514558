"""The command: every help page is there, and nothing heavy is imported before it is needed."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main
from commands import Run
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from distill_jobs.environment import PROJECT_ROOT
from understudy.cli import app

WIDTH = 80


def _commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []

    def walk(command: TyperCommand | TyperGroup, path: tuple[str, ...]) -> None:
        found.append(path)
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*path, name))

    walk(typer.main.get_command(app), ())
    return found


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_every_command_and_option_explains_itself(command: tuple[str, ...]) -> None:
    root = typer.main.get_command(app)
    for name in command:
        root = root.commands[name]

    assert root.help or root.callback is None
    for option in root.params:
        text = getattr(option, "help", None) or ""
        assert text or not hasattr(option, "help"), f"{option.name} has no help"
        # A word in brackets that reads as rich's markup is not shown: it wants a backslash.
        assert Text.from_markup(text).plain == text.replace("\\[", "["), option.name


def test_the_issue_s_commands_are_all_there() -> None:
    expected = {
        *{("demo",), ("serve",), ("deploy",), ("camera",), ("doctor",)},
        *{("job", name) for name in ("run", "resume", "show")},
        *{("release", name) for name in ("build", "sign", "verify")},
        *{("route", name) for name in ("show", "set", "promote", "rollback", "history")},
        *{("key", name) for name in ("create", "revoke", "list")},
    }

    assert expected <= set(_commands())


@pytest.mark.parametrize("module", ["understudy.cli", "serving.app"])
def test_importing_it_does_not_import_torch(module: str) -> None:
    heavy = "{'torch', 'ultralytics', 'cv2', 'onnxruntime', 'ts'}"
    check = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_the_command_starts_with_any_one_island_s_packages() -> None:
    """Each image installs one island's packages; the command knows all islands."""
    described = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    everywhere = set(described["dependencies"])
    extras = {one for extra in described["optional-dependencies"].values() for one in extra}
    names = {re.split(r"[;=<>\[ ]", one)[0] for one in extras - everywhere}
    modules = {
        module
        for module, distributions in importlib.metadata.packages_distributions().items()
        if {one.lower() for one in distributions} & names
    }
    absent = f"import sys; sys.modules.update(dict.fromkeys({sorted(modules)}))"

    done = subprocess.run(
        [sys.executable, "-c", f"{absent}; import understudy.cli"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert {"aiohttp", "torch", "sqlalchemy", "cv2", "grpc"} <= modules
    assert done.returncode == 0, done.stderr


def test_help_fits_80_columns(understudy: Run) -> None:
    lines = understudy("--help").stdout.splitlines()

    assert max(map(len, lines)) <= WIDTH


def test_doctor_finds_this_machine_fit(understudy: Run) -> None:
    told = understudy("doctor").stdout

    assert "packages: serving" in told
    assert max(map(len, told.splitlines())) <= WIDTH


def test_doctor_says_what_is_missing_and_how_to_mend_it(understudy: Run, tmp_path: Path) -> None:
    told = understudy("doctor", UNDERSTUDY_DATA=str(tmp_path / "nowhere")).stdout

    assert "point UNDERSTUDY_DATA at the folder" in " ".join(told.split())


def test_camera_names_a_source_that_is_not_there(understudy: Run, tmp_path: Path) -> None:
    told = understudy("camera", "--source", tmp_path / "no.mp4", code=1).stdout

    assert "no such file or folder" in told
