"""What the tests of the handlers share."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from tiny_detectors import write_archive_parts

import handlers

DECOY = "raise RuntimeError('the decoy copy of handlers was imported')\n"


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like an extracted archive, less the code: card.json and both variants' weights."""
    return write_archive_parts(tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`cells.mar`, made by the real torch-model-archiver."""
    folder = tmp_path_factory.mktemp("archive")
    stage = write_archive_parts(folder / "stage")
    code = Path(handlers.__file__).parent
    (stage / "handlers").mkdir()
    for file in code.glob("*.py"):
        (stage / "handlers" / file.name).write_bytes(file.read_bytes())
    program = [str(Path(sys.executable).with_name("torch-model-archiver"))]
    options = ["--model-name", "cells", "--version", "1.0", "--export-path", str(folder)]
    options += ["--handler", str(code / "detection_handler.py"), "--extra-files", str(stage)]
    subprocess.run([*program, *options], check=True, capture_output=True, timeout=120)
    return folder / "cells.mar"


@pytest.fixture(scope="session")
def extracted(archive: Path) -> Path:
    """The archive as TorchServe extracts it."""
    folder = archive.parent / "extracted"
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def decoy_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that sees everything installed here, and another `handlers` installed too."""
    folder = tmp_path_factory.mktemp("decoy")
    venv.create(folder, with_pip=False, symlinks=True)
    variables = {"base": str(folder), "platbase": str(folder)}
    site_packages = Path(sysconfig.get_path("purelib", vars=variables))
    (site_packages / "installed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (site_packages / "handlers").mkdir()
    (site_packages / "handlers" / "__init__.py").write_text(DECOY)
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def clean_environment() -> dict[str, str]:
    """This process's environment without what would lead Python to our own copy of the code."""
    unwanted = {"PYTHONPATH", "UNDERSTUDY_CHOICES", "UNDERSTUDY_VARIANT", "UNDERSTUDY_THREADS"}
    return {name: value for name, value in os.environ.items() if name not in unwanted}


@pytest.fixture(scope="session")
def photos() -> Path:
    """Real photos; the test is skipped, saying so, where they are not at hand."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("UNDERSTUDY_DATA", default)) / "photos"
    if not folder.is_dir():
        pytest.skip(f"real photos are absent: {folder} (set UNDERSTUDY_DATA)")
    return folder
