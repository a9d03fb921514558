"""The parts that are done, each in a file of its own, and the file that holds them all."""

import json
import shutil
from pathlib import Path
from typing import Any

from serving.whole_file import write_whole


class Results:
    """Keeps each part when it is done, so that a run that was stopped goes on.

    Args:
        folder: Of the parts.
        fresh: Forget what lies there.
    """

    def __init__(self, folder: Path, *, fresh: bool) -> None:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def lacks(self, *parts: str) -> bool:
        """Whether any of these parts is still to be done."""
        return any(not self._file(part).exists() for part in parts)

    def keep(self, part: str, figures: dict[str, Any]) -> None:
        """Keep a part that is done."""
        write_whole(self._file(part), json.dumps(figures, indent=2) + "\n", mode=0o644)

    def write(self, file: Path, about: dict[str, Any]) -> None:
        """Write every part that is done into one file."""
        parts = {one.stem: json.loads(one.read_text()) for one in sorted(self._folder.glob("*"))}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(about | {"parts": parts}, indent=2) + "\n", mode=0o644)

    def _file(self, part: str) -> Path:
        return self._folder / f"{part}.json"
