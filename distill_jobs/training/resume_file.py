"""The file that an unfinished training goes on from: plain tensors and containers, nothing else."""

import io
from pathlib import Path
from typing import Any

import torch

from distill_jobs.errors import TrainingFailed
from distill_jobs.files import write_atomically

RESUME_FILE = "resume.pt"
# Raised when a state of before cannot be read any more.
_FORMAT = 2


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Replace a training's resume file whole: a kill leaves the old one or the new one.

    Args:
        folder: Of the training.
        state: Tensors, numbers, strings, None, and dicts, lists and tuples of them.
    """
    buffer = io.BytesIO()
    torch.save({"format": _FORMAT, **state}, buffer)
    write_atomically(folder / RESUME_FILE, buffer.getvalue())


def read_state(folder: Path) -> dict[str, Any] | None:
    """Read a training's resume file; None where there is none.

    Raises:
        TrainingFailed: It is damaged, or another version of this program wrote it.
    """
    file = folder / RESUME_FILE
    for half_written in folder.glob(f".{RESUME_FILE}.*"):
        half_written.unlink()
    if not file.is_file():
        return None
    try:
        # Only tensors and plain containers are read: the file cannot run code.
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the damaged zip or pickle provokes
        raise TrainingFailed(
            f"{file} is damaged. Remove the folder {folder} to train from the beginning"
        ) from error
    if state.get("format") != _FORMAT:
        raise TrainingFailed(
            f"{file} is of format {state.get('format')}, and this program reads {_FORMAT}: another "
            f"version wrote it. Resume with that version, or remove {folder} to train anew"
        )
    return state
