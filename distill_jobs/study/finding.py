"""One check of a diagnosis."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One check.

    Attributes:
        name: What was looked at.
        measured: The number.
        limit: Where it should lie.
        suspicious: Whether it does not.
        advice: What to try then; the key of the job file where there is one.
    """

    name: str
    measured: str
    limit: str
    suspicious: bool
    advice: str
