"""Whose series it is: what a frame was resolved to, never what it asked for."""

from typing import NamedTuple, Self

from serving.store.values import ReleaseKey

RELEASE = ("model", "version")
ARM = ("route", "arm", *RELEASE)


class ArmLabels(NamedTuple):
    """The values of `ARM`."""

    route: str
    arm: str
    model: str
    version: str

    @classmethod
    def of(cls, route: str, arm: str, key: ReleaseKey) -> Self:
        """Return the labels of an arm of a route, and the release that it names."""
        return cls(route, arm, key.model, key.version)

    def is_of(self, key: ReleaseKey) -> bool:
        """Whether the arm names that release."""
        return (self.model, self.version) == (key.model, key.version)
