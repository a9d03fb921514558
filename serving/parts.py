"""Which part of a deployment a program runs."""

from enum import StrEnum


class Part(StrEnum):
    """What `understudy serve` starts."""

    ALL = "all"
    GATEWAY = "gateway"
    CONTROLLER = "controller"
    WORKER = "worker"

    @property
    def answers_cameras(self) -> bool:
        """Whether gateways run here."""
        return self in {Part.ALL, Part.GATEWAY}

    @property
    def leads(self) -> bool:
        """Whether the controller runs here."""
        return self in {Part.ALL, Part.CONTROLLER}
