"""Keeps keys, tokens, passwords and images out of the log, wherever in a line they turn up."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from structlog.typing import EventDict

REDACTED = "[redacted]"
_LONGEST_TEXT = 16_384
# Fields whose text is not shown, whatever it reads. Numbers are: token_count, image_bytes.
_SECRET_NAME = re.compile(
    r"authori[sz]ation|password|passwd|secret|token|api.?key|private|cookie|credential"
    r"|^(key|image|body|headers|metadata|salt|hash)$",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    # Our own keys: the id may be told, the secret not.
    r"(?P<key>us_[0-9a-f]{8,16}_)[\w-]{8,}"
    r"|(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]{4,}"
    r"|(?P<url>://[^\s:/@]{0,128}:)[^\s/@]+(?=@)"
    # Name and value, as in a header, a query or somebody's repr.
    r"|(?P<name>\b(?:x-api-key|authorization|api_?key|password|passwd|secret|token)[\"']?\s*[=:]\s*"
    r"[\"']?)(?!\s*\[redacted|bearer\b|basic\b)[^\s\"',;&)}\]]+"
    r"|(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----)[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    # An image, as bytes in a repr or as base64.
    r"|(?P<bytes>\bb(?P<quote>[\"']))(?:\\.|(?!(?P=quote))[^\\]){24,}(?:(?P=quote)|\Z)"
    r"|(?P<base64>(?:/9j/|iVBORw0KGgo|UklGR))[A-Za-z0-9+/=\s]{24,}",
    re.IGNORECASE,
)
_GROUPS = ("key", "scheme", "url", "name", "pem", "bytes", "base64")
# A terminal obeys these; lines and tabs are kept, for tracebacks.
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), 127) if code not in (9, 10)}


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Return a line without its secrets; a structlog processor, the last before the renderer."""
    return {name: _shown(name, value) for name, value in event.items()}


def scrubbed(text: str) -> str:
    """Return a text without what reads like a key, a token, a password or an image."""
    return _SECRET_TEXT.sub(_covered, text[:_LONGEST_TEXT]).translate(_CONTROLS)


def _covered(match: re.Match[str]) -> str:
    kept = next((match[name] for name in _GROUPS if match[name] is not None), "")
    return kept + REDACTED


def _shown(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_NAME.search(name):
        return REDACTED
    if isinstance(value, str):
        return scrubbed(value)
    return _of_many(name, value)


def _of_many(name: str, value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, Mapping):
        return {str(key): _shown(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(name, one) for one in value]
    if isinstance(value, BaseException | PurePath):
        return scrubbed(str(value))
    # Whatever else it is may hold an image or a key, and its repr would show it.
    return f"<{type(value).__name__}>"
