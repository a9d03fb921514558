"""Classes renamed, merged and dropped on the way in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distill_jobs.errors import DataSetInvalid


@dataclass(frozen=True)
class ClassMap:
    """From a data set's own classes to the job's.

    Attributes:
        sources: The data set's own class names; index = class id in its label files.
        names: The job's class names; index = class id from here on.
        targets: One a source: its class id from here on, None where its objects are dropped.
    """

    sources: tuple[str, ...]
    names: tuple[str, ...]
    targets: tuple[int | None, ...]

    @classmethod
    def of(
        cls, path: Path, sources: Sequence[str], wanted: Mapping[str, Sequence[str]] | None
    ) -> "ClassMap":
        """Fit a job's `classes:` to a data set.

        Args:
            path: The data set's file, for the error.
            sources: Its class names.
            wanted: New name to old ones, in the order of the new class ids; None keeps all.

        Raises:
            DataSetInvalid: An old name is not one of the data set's.
        """
        if wanted is None:
            return cls(tuple(sources), tuple(sources), tuple(range(len(sources))))
        target_of = {old: new for new, olds in enumerate(wanted.values()) for old in olds}
        for old in target_of:
            if old not in sources:
                raise DataSetInvalid(
                    path, f"data.classes names {old!r}; the data set has {', '.join(sources)}"
                )
        return cls(tuple(sources), tuple(wanted), tuple(target_of.get(one) for one in sources))

    @property
    def keeps_all(self) -> bool:
        """Whether every class stays what it was."""
        same = tuple(range(len(self.sources)))
        return self.names == self.sources and self.targets == same

    def described(self) -> dict[str, str | None] | None:
        """Return old name to new name, or to None where dropped; None when nothing changes."""
        if self.keeps_all:
            return None
        return {
            source: None if target is None else self.names[target]
            for source, target in zip(self.sources, self.targets, strict=True)
        }
