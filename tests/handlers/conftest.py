"""What the tests of the handlers share."""

import os
from pathlib import Path

import pytest
from tiny_detectors import write_archive_parts


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like an extracted archive: card.json and the weights of both variants."""
    return write_archive_parts(tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="session")
def photos() -> Path:
    """Real photos; the test is skipped, saying so, where they are not at hand."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(os.environ.get("UNDERSTUDY_DATA", default)) / "photos"
    if not folder.is_dir():
        pytest.skip(f"real photos are absent: {folder} (set UNDERSTUDY_DATA)")
    return folder
