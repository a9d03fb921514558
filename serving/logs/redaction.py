"""Keeps keys, tokens, passwords and images out of the log, wherever in a line they turn up."""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from structlog.typing import EventDict

REDACTED = "[redacted]"
_LONGEST_TEXT = 16_384
# Several chained errors of a database's driver, each some forty frames deep.
_LONGEST_TRACEBACK = 65_536
# More is not looked through, and so not shown.
_LONGEST_READ = 262_144
_LARGEST_INTEGER = 2**63 - 1  # that a JSON reader is sure to take
# Fields whose text is not shown, whatever it reads. Numbers are: token_count, image_bytes.
_SECRET_NAME = re.compile(
    r"authori[sz]ation|password|passwd|passphrase|secret|token|api.?key|private|cookie|credential"
    r"|^(key|image|body|headers|metadata|salt|hash)$",
    re.IGNORECASE,
)
# In quotes to their end (a repr or JSON, perhaps inside another), else a word, with its scheme.
_VALUE = (
    r"(?:"
    r'"(?:\\.|[^"\\\n]){0,4096}"?'
    r"|'(?:\\.|[^'\\\n]){0,4096}'?"
    r"|\\+[\"'][^\"'\n]{0,4096}"
    r"|\[redacted\][^\s\"',;&)}\]\\]*"
    r"|(?:(?:bearer|basic|digest|token)\s+)?[^\s\"',;&)}\]\\]+)"
)
_SECRET_TEXT = re.compile(
    # Our own keys: the id may be told, the secret not.
    r"(?P<key>us_[0-9a-f]{8,16}_)[\w-]+"
    # A password in an address may hold "/" and "@", as SQLAlchemy takes it: up to the last "@".
    r"|(?P<url>://[^\s:/]{0,128}:)\S{1,512}(?=@)"
    # Name and value, as in a header, a query, the environment or somebody's repr. Names are found
    # as the end of longer ones: PGPASSWORD, access_token.
    r"|(?P<name>(?:authori[sz]ation|api[ _-]?key|passw(?:or)?d|passphrase|token|credential"
    r"|secret(?:[_-]?(?:access[_-]?)?key)?|private[_-]?key|[\"']key(?=\\*[\"']))"
    r"\\*[\"']?\s*[=:]\s*)" + _VALUE + r"|(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]{4,}"
    r"|(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----)[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    # An image, as bytes in a repr or as base64: by how JPEG, PNG, WebP, TIFF, BMP and GIF begin.
    r"|(?P<bytes>\bb(?P<quote>[\"']))(?:\\.|(?!(?P=quote))[^\\]){24,}(?:(?P=quote)|\Z)"
    r"|(?P<base64>[/_]9j[/_]|iVBORw0KGgo|UklGR|(?:SUkq|TU0A|Qk|R0lGOD)(?=[a-z0-9+/_-]{40}))"
    r"[a-z0-9+/=_-]{24,}(?:\s+[a-z0-9+/=_-]{24,})*"
    r"|(?:ffd8ff|89504e47)[0-9a-f]{62,}",
    re.IGNORECASE,
)
# Whatever it is: too long for a word, a digest or a path's part.
_RUN = 256
_LONG_RUN = re.compile(
    rf"(?<![a-z0-9+/_-])(?:[a-z0-9+/]{{{_RUN},}}|[a-z0-9_-]{{{_RUN},}})[a-z0-9+/=_-]*",
    re.IGNORECASE,
)
_GROUPS = ("key", "scheme", "url", "name", "pem", "bytes", "base64")
# A terminal obeys these; lines and tabs are kept, for tracebacks.
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), 127) if code not in (9, 10)}


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Return a line without its secrets; a structlog processor, the last before the renderer."""
    return {name: _certainly_shown(name, value) for name, value in event.items()}


def scrubbed(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Return a text without what reads like a key, a token, a password or an image.

    Args:
        text: Any; lone surrogates (an undecodable file name's) become question marks.
        longest: Characters that are shown; of a longer text both ends are.
    """
    read = text[:_LONGEST_READ].encode("utf-8", "replace").decode()
    # Before anything is cut: half a secret would not be known for one.
    shown = _LONG_RUN.sub(REDACTED, read) if len(read) >= _RUN else read
    shown = _SECRET_TEXT.sub(_covered, shown).translate(_CONTROLS)
    if len(text) > _LONGEST_READ:
        shown += _cut(len(text) - _LONGEST_READ)
    left_out = len(shown) - longest
    if left_out <= 0:
        return shown
    return shown[: longest // 2] + _cut(left_out) + shown[-longest // 2 :]


def _cut(characters: int) -> str:
    return f" [{characters} characters left out] "


def _certainly_shown(name: str, value: Any) -> Any:
    """Return what is shown of a field: an object that cannot be told of must not end its teller."""
    try:
        return _shown(name, value)
    except Exception:  # noqa: BLE001 - its own __str__ raised, or it holds itself
        return f"<{type(value).__name__}>"


def _covered(match: re.Match[str]) -> str:
    kept = next((match[name] for name in _GROUPS if match[name] is not None), "")
    return kept + REDACTED


def _shown(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _number(value)
    if _SECRET_NAME.search(name):
        return REDACTED
    if isinstance(value, str):
        return scrubbed(value, _LONGEST_TRACEBACK if name == "exception" else _LONGEST_TEXT)
    return _of_many(name, value)


def _number(value: int | float) -> int | float | str:
    """Return a plain number (NumPy's are not), or text where JSON has none so large."""
    if isinstance(value, float):
        return float(value)
    return int(value) if abs(value) <= _LARGEST_INTEGER else str(int(value))


def _of_many(name: str, value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, Mapping):
        return {scrubbed(str(key)): _shown(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(name, one) for one in value]
    if isinstance(value, BaseException | PurePath):
        return scrubbed(str(value))
    # Whatever else it is may hold an image or a key, and its repr would show it.
    return f"<{type(value).__name__}>"
