"""What the demo's two models are called, and the routes they share."""

from typing import Any

from distill_jobs.results import ModelResult

ARMS = ("teacher", "student")


def release_name(model: ModelResult) -> str:
    """Return NAME-VERSION of a model's archive.

    Raises:
        ValueError: The job released nothing.
    """
    if model.archive is None:
        raise ValueError(f"the job archived no {model.role}: give it an `archive:` section")
    return model.archive.stem


def route(releases: dict[str, str], student_percent: float, why: str) -> dict[str, Any]:
    """Return the body that gives the student so much and the teacher the rest.

    Args:
        releases: NAME-VERSION by arm.
        student_percent: 0 to 100.
        why: For the history.
    """
    weights = {"teacher": 100 - student_percent, "student": student_percent}
    arms = [{"name": arm, "release": releases[arm], "weight": weights[arm]} for arm in ARMS]
    return {"arms": arms, "why": why}
