"""The frames that a release is tuned with: the user's own, or the archive's golden frames."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from serving.controlplane.archives import Archive
from serving.errors import ConfigurationError

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_MOST_FRAMES = 256
_MOST_BYTES = 256 * 1024**2


@dataclass(frozen=True)
class Frames:
    """Encoded images.

    Attributes:
        images: Sent in turn.
        names: One each, for people.
        are_golden: Whether it is known what each must give, in the card's order.
        told: What they are, in a few words.
    """

    images: tuple[bytes, ...]
    names: tuple[str, ...]
    are_golden: bool
    told: str


async def golden_frames(archive: Archive) -> Frames:
    """Return an archive's golden frames.

    Raises:
        ConfigurationError: It has none.
    """
    wanted = archive.card.golden_frames
    if not wanted:
        raise ConfigurationError(f"frames: {archive.key} has no golden frames; give it --frames")
    images = [await asyncio.to_thread(archive.golden_image, one) for one in wanted]
    names = tuple(one.file for one in wanted)
    return Frames(tuple(images), names, are_golden=True, told=f"{len(images)} golden frames")


def frames_of(folder: Path, most_bytes: int = _MOST_BYTES) -> Frames:
    """Read a folder's images; of many, as many as memory should hold, evenly spread.

    Args:
        folder: Other files in it are passed over.
        most_bytes: About as much is held; one image is at least.

    Raises:
        ConfigurationError: It cannot be read or has none.
    """
    try:
        found = sorted(one for one in folder.iterdir() if one.suffix.lower() in _SUFFIXES)
        held = sum(path.stat().st_size for path in found)
        every = max(-(-len(found) // _MOST_FRAMES), -(-held // most_bytes)) or 1
        chosen = [(path.name, path.read_bytes()) for path in found[::every]]
    except OSError as error:
        raise ConfigurationError(f"frames: {folder} cannot be read: {error.strerror}") from error
    if not chosen:
        raise ConfigurationError(f"frames: {folder} has no JPEG, PNG or WebP image")
    names, images = zip(*chosen, strict=True)
    return Frames(images, names, are_golden=False, told=f"{len(images)} frames of {folder}")
