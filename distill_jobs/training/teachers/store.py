"""Answers kept on disk, so that a teacher is not asked the same thing twice."""

import io
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill_jobs.errors import TrainingFailed
from distill_jobs.files import write_atomically


class AnswerStore:
    """A folder of arrays by key: NumPy's `.npz`, never a pickle, each written atomically.

    Processes and runs may share one: what two of them write under one key is the same.

    Args:
        folder: Made when the first answer is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @staticmethod
    def key(identity: str, question: str) -> str:
        """Return the key of an answer.

        Args:
            identity: Digest of all that the teacher's answers depend on: its weights, the size and
                fitting of its input, the class map, thresholds.
            question: Digest of what it was asked: an image's bytes, or an input tensor.
        """
        return sha256(f"{identity}:{question}".encode()).hexdigest()

    def get(self, key: str) -> dict[str, NDArray[Any]] | None:
        """Return what was kept under a key; None where nothing was, or it is damaged."""
        try:
            content = io.BytesIO(self._file(key).read_bytes())
            with np.load(content, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def put(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep arrays under a key.

        Raises:
            TrainingFailed: The disk is full, or may not be written to.
        """
        buffer = io.BytesIO()
        content: dict[str, Any] = dict(arrays)
        np.savez(buffer, **content)
        try:
            write_atomically(self._file(key), buffer.getvalue())
        except OSError as error:
            raise TrainingFailed(
                f"{self._folder}: a teacher's answer cannot be kept ({error.strerror}). Free some "
                "space, or leave `cache: true` out: a dense answer takes megabytes an image"
            ) from error

    def _file(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.npz"
