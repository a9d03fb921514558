"""What is wrong with what somebody typed, in words."""

from collections.abc import Sequence

from pydantic import ValidationError

from serving.api.complaints import complaint
from serving.store.values import MAX_WEIGHT


def complaint_of(error: ValidationError, arms: Sequence[str] = ()) -> str:
    """Return the first complaint, with the field's name before it.

    Args:
        error: Of the fields.
        arms: Names of the arms, in their order; what is an arm's is told by its name.
    """
    first = error.errors()[0]
    match first["loc"]:
        case ("arms", int(place), "weight"):
            name = arms[place] if place < len(arms) else ""
            return f"{name or 'weight'}: a percentage from 0 to {MAX_WEIGHT} is needed"
        case ("arms", int(), "release"):
            return "release: choose one for each arm; only loaded releases can answer"
        case ():
            return complaint(first)
    return f"{'.'.join(map(str, first['loc']))}: {complaint(first)}"
