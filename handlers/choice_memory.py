"""What serving and the workers of one machine tell each other about a card, in a private folder.

`pin-CARD` names the variant that a deployment asked for, `threads-CARD` the threads of a run, and
`workers-CARD` says how many workers of it share the machine: serving writes them. `fault-CARD` says
why a worker did not load: the worker writes it. `choice-KEY.json` remembers which variant was found
the fastest, for one card on one machine: a hint, that only ever picks among what may be chosen
anyway. CARD is the SHA-256 of card.json, which holds the digests of all other parts.
"""

import fcntl
import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

from handlers.card import FILE_NAME
from handlers.errors import BadSetting
from handlers.machine import Machine

_log = logging.getLogger(__name__)

_ENGINES = ("onnxruntime-gpu", "onnxruntime", "openvino", "torch")
_WRITABLE_BY_OTHERS = 0o022
_LOCK_POLL_S = 0.1

Conditions = Mapping[str, object]


def card_digest(folder: Path) -> str:
    """Return the SHA-256, hex, of an extracted archive's card; "absent" where it has none."""
    try:
        return hashlib.sha256((folder / FILE_NAME).read_bytes()).hexdigest()
    except OSError:
        return "absent"


def conditions(card: str, machine: Machine, threads: int | None, gpu_id: int | None) -> Conditions:
    """Return everything that a measured choice depends on.

    Args:
        card: Its digest.
        machine: What was measured on.
        threads: What a run was given.
        gpu_id: The device; None: the CPU.
    """
    flags = " ".join(sorted(machine.cpu_flags)).encode()
    return {
        "card": card,
        "architecture": machine.architecture,
        "cpu": machine.cpu_model,
        "flags": hashlib.sha256(flags).hexdigest(),
        "cores": machine.cores,
        "threads": threads,
        "gpu": gpu_id,
        "engines": _versions(),
    }


class ChoiceMemory:
    """The folder; whatever goes wrong with it costs a measurement and nothing else.

    Args:
        folder: Private: nobody else may write there. It is made if it is absent.

    Raises:
        BadSetting: Others may write there, or it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.stat()
        except OSError as error:
            raise BadSetting(f"UNDERSTUDY_CHOICES: {folder}: {error.strerror}") from error
        if found.st_uid != os.geteuid() or found.st_mode & _WRITABLE_BY_OTHERS:
            raise BadSetting(
                f"UNDERSTUDY_CHOICES: {folder} must belong to the worker's user, and nobody else "
                "may write there: chmod 700"
            )
        self._folder = folder

    def pinned(self, card: str) -> str | None:
        """Return the variant that this deployment of a card asks for; None: any."""
        return self._asked(f"pin-{card}")

    def threads(self, card: str) -> int | None:
        """Return how many threads a run of this deployment is to use; None: it does not say.

        Raises:
            BadSetting: It says something that is no such number.
        """
        return self._count(f"threads-{card}")

    def workers(self, card: str) -> int | None:
        """Return how many workers of this deployment share the machine; None: it does not say.

        Raises:
            BadSetting: It says something that is no such number.
        """
        return self._count(f"workers-{card}")

    def tell_fault(self, card: str, message: str) -> None:
        """Write down why a worker does not load, for whoever deploys."""
        self._write(f"fault-{card}", message)

    def recall(self, known: Conditions) -> str | None:
        """Return the name of the variant that was chosen under these conditions; None: none was."""
        try:
            stored = json.loads((self._folder / _file_of(known)).read_text(encoding="utf-8"))
            if stored["conditions"] == json.loads(json.dumps(known)):
                return str(stored["variant"])
        except (OSError, ValueError, KeyError, TypeError):  # absent, or not one of ours
            pass
        return None

    def remember(self, known: Conditions, variant: str, told: str) -> None:
        """Write a choice down.

        Args:
            known: The conditions it was made under.
            variant: Its name.
            told: For people: what came of the others.
        """
        content = {"conditions": known, "variant": variant, "told": told}
        self._write(_file_of(known), json.dumps(content, indent=1))

    @contextmanager
    def alone(self, card: str, timeout_s: float) -> Iterator[None]:
        """Keep the machine's other workers of a card from measuring at the same time.

        Args:
            card: Its digest.
            timeout_s: After so long it goes on all the same.
        """
        with (self._folder / f"lock-{card}").open("a") as lock:
            _lock(lock.fileno(), timeout_s)
            yield

    def _count(self, name: str) -> int | None:
        text = self._asked(name)
        if text is None:
            return None
        if not text.isdecimal() or int(text) < 1:
            raise BadSetting(f"{self._folder / name}: must be a whole number above 0, got {text!r}")
        return int(text)

    def _asked(self, name: str) -> str | None:
        try:
            return (self._folder / name).read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None

    def _write(self, name: str, text: str) -> None:
        try:
            descriptor, partial = tempfile.mkstemp(prefix=".partial-", dir=self._folder)
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                Path(partial).replace(self._folder / name)
            finally:
                Path(partial).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("variant: %s cannot be written: %s", self._folder / name, error)


def _lock(descriptor: int, timeout_s: float) -> None:
    """Take a file's lock, if it is to be had in time; it goes with the file or the process."""
    ends = time.monotonic() + timeout_s
    while time.monotonic() < ends:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_LOCK_POLL_S)


def _file_of(known: Conditions) -> str:
    key = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
    return f"choice-{key}.json"


def _versions() -> dict[str, str]:
    installed = {}
    for name in _ENGINES:
        with suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    return installed
