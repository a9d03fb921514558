"""What breaks a training from within, told as an error of ours."""

import contextlib
from collections.abc import Iterator

import cv2
import torch
from ultralytics.utils import LOGGER

from distill_jobs.errors import JobError, TrainingFailed
from distill_jobs.training.request import TrainRequest

_FROM_WITHIN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    cv2.error,
)


@contextlib.contextmanager
def failures_told(request: TrainRequest) -> Iterator[None]:
    """Turn what ultralytics, torch and the disk raise into errors of ours.

    Other classes pass: a listener that ends a training raises one of its own.

    Args:
        request: Names the training; `request.log` gets the traceback.

    Raises:
        TrainingFailed: Such an error came.
    """
    try:
        yield
    except JobError:
        raise
    except torch.OutOfMemoryError as error:
        raise TrainingFailed(
            f"{request.title} ran out of the GPU's memory at batch {request.training.batch}: halve "
            "`batch` and double `accumulate`"
        ) from error
    except _FROM_WITHIN as error:
        LOGGER.exception(f"{request.title} failed")
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrainingFailed(
            f"{request.title} failed: {reason}. The whole story is in {request.log}"
        ) from error
