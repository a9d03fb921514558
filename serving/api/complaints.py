"""What a person is told of a value that breaks a rule."""

from pydantic_core import ErrorDetails

from serving.store.values import NAME_PATTERN, NAME_RULE


def complaint(error: ErrorDetails) -> str:
    """Return one of pydantic's complaints in words, with the value where that is short."""
    value, limits = error["input"], error.get("ctx", {})
    if error["type"] == "string_pattern_mismatch" and limits.get("pattern") == NAME_PATTERN:
        return f"{str(value)[:80]!r} must be {NAME_RULE}"
    message = error["msg"].removeprefix("Value error, ")
    return f"{message}, not {str(value)[:80]}" if isinstance(value, int | float) else message
