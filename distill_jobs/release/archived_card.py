"""The card of an archive that nobody has verified: read to choose by, never to run anything by."""

import json
import zipfile
import zlib
from pathlib import Path

from handlers.card import FILE_NAME
from handlers.errors import CardError
from handlers.fields import Fields

# As much as serving takes; a real card has some 20 KB.
_LIMIT_BYTES = 8 * 1024**2
# What the zip and the JSON reader raise for bytes that are not what they should be: cut off,
# encrypted, a name that is no text, too many brackets.
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(KeyError, NotImplementedError, RuntimeError, ValueError),
)


def archived_card(archive: Path) -> Fields:
    """Read the card in an archive. It says what it says: only a signature vouches for it.

    Args:
        archive: Anything that is called an archive; it may have come from anywhere.

    Returns:
        The card, of which nothing is checked but that it is a JSON object.

    Raises:
        CardError: There is none that can be read, or it is compressed or larger than 8 MiB.
    """
    if not archive.is_file():  # a pipe would be waited for
        raise CardError(f"{archive}: no such archive")
    try:
        with zipfile.ZipFile(archive) as parts:
            entry = parts.getinfo(FILE_NAME)
            _check_size(archive, entry)
            content = json.loads(parts.read(entry))
    except _UNREADABLE as error:
        raise CardError(f"{archive}: no archive with a card ({error})") from error
    return Fields(FILE_NAME, content)


def _check_size(archive: Path, entry: zipfile.ZipInfo) -> None:
    """Refuse what would take more memory than it says: `zipfile` unpacks first, and cuts then."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise CardError(
            f"{archive}: {FILE_NAME} is compressed; archives hold files as they are (zip-store), "
            "as `understudy release build` packs them"
        )
    if entry.file_size > _LIMIT_BYTES:
        raise CardError(
            f"{archive}: {FILE_NAME} would have {entry.file_size} bytes; at most "
            f"{_LIMIT_BYTES} may be"
        )
