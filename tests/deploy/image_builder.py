"""Images built for real, where a tool that can is named or lies beside the checkout."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT_ROOT = Path(__file__).parents[2]
_UNITS = {"kB": 1e-3, "MB": 1.0, "GB": 1e3}


@dataclass(frozen=True)
class Image:
    """One that was built.

    Attributes:
        tag: Its name.
        size_mb: All its layers, in 10^6 bytes.
    """

    tag: str
    size_mb: float


class ImageBuilder:
    """Builds and runs stages of the Dockerfile.

    Args:
        tool: `tool CONTEXT STAGE TAG` builds and says the image's size, `tool run TAG COMMAND...`
            runs a command in what was built.
    """

    def __init__(self, tool: Path) -> None:
        self._tool = tool

    @classmethod
    def find(cls) -> "ImageBuilder":
        """Return the one of UNDERSTUDY_BUILD_IMAGE, else that beside the checkout; else skip."""
        beside = PROJECT_ROOT.parent / "shared" / "tools" / "build-image"
        tool = Path(os.environ.get("UNDERSTUDY_BUILD_IMAGE", beside))
        if not tool.is_file():
            pytest.skip("nothing here builds images: UNDERSTUDY_BUILD_IMAGE names no tool")
        if os.geteuid() != 0:
            pytest.skip("building images without a container engine takes root")
        return cls(tool)

    def build(self, stage: str, context: Path = PROJECT_ROOT) -> Image:
        """Build a stage of a folder's Dockerfile."""
        tag = f"understudy-test-{stage}"
        done = self._call(str(context), stage, tag)
        assert done.returncode == 0, done.stdout[-4000:]
        # Its last word is the image's name and size.
        (size, unit) = re.findall(rf"/{tag}\s+([\d.]+) (kB|MB|GB)$", done.stdout, re.M)[-1]
        return Image(tag, float(size) * _UNITS[unit])

    def run(self, image: Image, script: str) -> "subprocess.CompletedProcess[str]":
        """Run a script of bash in an image; its standard error comes with its output."""
        return self._call("run", image.tag, "bash", "-euc", script)

    def _call(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["nice", "-n", "10", str(self._tool), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
