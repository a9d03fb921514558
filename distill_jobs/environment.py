"""The process's surroundings: no network for ultralytics, and where data lies."""

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parent.parent
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def offline() -> None:
    """Keep ultralytics and ONNX Runtime from the network, the user's home and checkpoints' code.

    Call before importing either; idempotent. Sets `YOLO_OFFLINE`, `YOLO_AUTOINSTALL`,
    `ULTRALYTICS_SAFE_LOAD` and `ORT_DISABLE_TELEMETRY`, and gives this process a settings folder of
    its own, removed when the process ends (ultralytics writes there at import, and its stored
    settings could otherwise turn experiment trackers on).
    """
    os.environ["YOLO_OFFLINE"] = "1"
    os.environ["YOLO_AUTOINSTALL"] = "false"
    # Unpickles known classes alone, and does not `eval` what a checkpoint's description says.
    os.environ["ULTRALYTICS_SAFE_LOAD"] = "true"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    # Its console output; a run turns the logger up again and sends it to the run's log.
    os.environ["YOLO_VERBOSE"] = "false"
    if "YOLO_CONFIG_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="understudy-ultralytics-")
        os.environ["YOLO_CONFIG_DIR"] = folder
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def process_count() -> int:
    """Return how many processes `torchrun` started for one job; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_rank() -> int:
    """Return this process's number among them, 0 for the first."""
    return int(os.environ.get("RANK", "0")) if process_count() > 1 else 0


def data_root() -> Path:
    """Return the folder of the real data: `UNDERSTUDY_DATA`, or `../shared/data`."""
    configured = os.environ.get("UNDERSTUDY_DATA")
    return Path(configured) if configured else PROJECT_ROOT.parent / "shared" / "data"


def expand(text: str) -> str:
    """Replace `${NAME}` and `${NAME:-default}` by the environment's values.

    Args:
        text: Text with zero or more variables; `UNDERSTUDY_DATA` always has a value.

    Returns:
        The text with every variable replaced.

    Raises:
        KeyError: A variable is not set and has no default; the argument is its name.
    """

    def value(match: re.Match[str]) -> str:
        name, default = match.group(1), match.group(2)
        if name == "UNDERSTUDY_DATA":
            return str(data_root())
        found = os.environ.get(name, default)
        if found is None:
            raise KeyError(name)
        return found

    return _VARIABLE.sub(value, text)
