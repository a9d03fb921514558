"""The private folder in which serving and the workers of one machine tell each other of variants.

Workers read and write it by `handlers.choice_memory`; here is serving's half: which variant a
deployment asks for, and why a worker could not load. A card is known by the SHA-256 of card.json.
"""

from contextlib import suppress
from pathlib import Path

from serving.whole_file import write_whole

_MOST_CHARACTERS = 2000


class Choices:
    """That folder. All methods block: call them in a thread.

    Args:
        folder: Only the server and its workers write there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Make the folder, for its owner alone."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def pin(self, card_sha256: str, variant: str | None) -> None:
        """Have workers that load a card from now on serve one variant.

        Args:
            card_sha256: Of the card.
            variant: Its name; None: the fastest, as they find it.
        """
        self.prepare()
        path = self.folder / f"pin-{card_sha256}"
        if variant is None:
            path.unlink(missing_ok=True)
        else:
            write_whole(path, variant, mode=0o600)
        (self.folder / f"fault-{card_sha256}").unlink(missing_ok=True)

    def fault(self, card_sha256: str) -> str:
        """Return why a worker did not load a card since it was pinned; "" where none has told."""
        with suppress(OSError):
            text = (self.folder / f"fault-{card_sha256}").read_text("utf-8", "replace")
            return text[:_MOST_CHARACTERS].strip()
        return ""
