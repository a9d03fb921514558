"""Every TorchServe of the deployment as of now: some join and some leave while it serves."""

from collections.abc import Callable, Iterable, Sequence
from typing import overload

from serving.torchserve.backend import Backend


class Roster(Sequence[Backend]):
    """A sequence that is replaced whole: who copies it has those of one moment.

    Args:
        backends: Those of the start.
        complete: Whether these are all; False: who is missing is not gone, only not found yet.
    """

    def __init__(self, backends: Iterable[Backend] = (), *, complete: bool = True) -> None:
        self._backends = tuple(backends)
        self._complete = complete
        self._watchers: list[Callable[[], None]] = []

    @property
    def complete(self) -> bool:
        """Whether a backend that is not listed is none of the deployment."""
        return self._complete

    def put(self, backends: Iterable[Backend], *, complete: bool = True) -> None:
        """Replace everyone; whoever watches is told where that changes anything."""
        before, self._backends = self._backends, tuple(backends)
        self._complete = complete
        if self._backends != before:
            for tell in self._watchers:
                tell()

    def watch(self, tell: Callable[[], None]) -> None:
        """Have `tell` called after each change."""
        self._watchers.append(tell)

    @overload
    def __getitem__(self, index: int) -> Backend: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Backend]: ...
    def __getitem__(self, index: int | slice) -> Backend | Sequence[Backend]:
        return self._backends[index]

    def __len__(self) -> int:
        return len(self._backends)
