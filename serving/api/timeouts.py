"""How long a caller says it will wait."""

from serving.dataplane.deadline import Deadline
from serving.errors import InvalidField

# A route's own limit; a drain waits no longer for a gateway that fell silent.
LONGEST_TIMEOUT_S = 120.0


def deadline_of(field: str, text: str | None) -> Deadline | None:
    """Return the deadline of a timeout in milliseconds; None where the caller names none.

    Raises:
        InvalidField: Not a number of milliseconds within 1 to 120,000.
    """
    if text is None:
        return None
    longest_ms = LONGEST_TIMEOUT_S * 1000
    try:
        timeout_ms = float(text)
    except ValueError:
        timeout_ms = float("nan")
    if not 1 <= timeout_ms <= longest_ms:
        raise InvalidField(
            field, f"{field}: {text[:32]!r} is not a number of ms within 1 to {longest_ms:.0f}"
        )
    return Deadline.after(timeout_ms / 1000)
