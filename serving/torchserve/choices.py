"""The private folder in which serving and the workers of one machine tell each other how to run.

Workers read and write it by `handlers.choice_memory`; here is serving's half: which variant and how
many threads a deployment asks for, how many workers share the machine, and why a worker could not
load. A card is known by the SHA-256 of card.json.
"""

from contextlib import suppress
from pathlib import Path

from serving.whole_file import write_whole

_MOST_CHARACTERS = 2000


class Choices:
    """That folder. All methods block: call them in a thread.

    Args:
        folder: Only the server and its workers write there.
        backends: How many TorchServes of this machine run each release.
    """

    def __init__(self, folder: Path, backends: int = 1) -> None:
        self.folder = folder
        self._backends = backends

    def prepare(self) -> None:
        """Make the folder, for its owner alone."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def ask(
        self, card_sha256: str, *, variant: str | None, threads: int | None, workers: int
    ) -> None:
        """Tell workers that load a card from now on how to serve it.

        Args:
            card_sha256: Of the card.
            variant: Its name; None: the fastest, as they find it.
            threads: Of a run; None: their share of the cores.
            workers: How many each backend runs.
        """
        self.prepare()
        self._say(f"pin-{card_sha256}", variant)
        self._say(f"threads-{card_sha256}", threads)
        self._say(f"workers-{card_sha256}", workers * self._backends)
        self._say(f"fault-{card_sha256}", None)

    def _say(self, name: str, said: str | int | None) -> None:
        if said is None:
            (self.folder / name).unlink(missing_ok=True)
        else:
            write_whole(self.folder / name, str(said), mode=0o600)

    def fault(self, card_sha256: str) -> str:
        """Return why a worker did not load a card since it was asked; "" where none has told."""
        with suppress(OSError):
            text = (self.folder / f"fault-{card_sha256}").read_text("utf-8", "replace")
            return text[:_MOST_CHARACTERS].strip()
        return ""
