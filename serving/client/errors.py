"""What a server told, as the error it raised: clients catch the same types as the server's code."""

from collections.abc import Iterator

from serving.error_info import ErrorInfo
from serving.errors import InvalidField, InvalidRoute, Overloaded, StreamEnded, UnderstudyError


def rebuilt(info: ErrorInfo, *, retry_after_s: float = 1.0) -> UnderstudyError:
    """Return the error that `info` describes; `UnderstudyError` itself for an unknown code.

    Args:
        info: What the server told.
        retry_after_s: When to try again, should it be `Overloaded` or `StreamEnded`.
    """
    kinds = {kind.code: kind for kind in _kinds(UnderstudyError)}
    kind = kinds.get(info.code, UnderstudyError)
    if issubclass(kind, Overloaded | StreamEnded):
        return kind(info.message, retry_after_s=retry_after_s)
    if issubclass(kind, InvalidField | InvalidRoute):
        return kind(info.field, info.message)
    return kind(info.message)


def _kinds(root: type[UnderstudyError]) -> Iterator[type[UnderstudyError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)
