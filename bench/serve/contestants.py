"""Who is compared: a server, what it computes with, and how it shares the machine."""

from dataclasses import asdict, dataclass, replace
from typing import Any

PEERS = ("litserve", "bentoml", "ray", "triton")
"""Servers with an environment of their own under bench/peers/."""
OURS, TORCHSERVE, LOOP = "ours", "torchserve", "loop"
"""`understudy serve`; TorchServe alone with our archive; our pipeline in a bare process."""
FP32, BEST = "fp32", "best"
"""ONNX Runtime FP32; what the archive serves with on this machine where nobody pins a variant."""
MAX_BATCH = 8


@dataclass(frozen=True)
class Setting:
    """How a server shares two cores.

    Attributes:
        workers: Processes (replicas, instances) that run the model.
        threads: Of each, for the model.
        spinning: Whether a peer's ONNX Runtime may spin between runs, its default; ours never does.
    """

    workers: int
    threads: int
    spinning: bool = True

    def __str__(self) -> str:
        quiet = "" if self.spinning else ", no spinning"
        return f"{self.workers} x {self.threads}{quiet}"


ONE_OF_TWO_THREADS, TWO_OF_ONE = Setting(1, 2), Setting(2, 1)
_QUIET = Setting(1, 2, spinning=False)


@dataclass(frozen=True)
class Contestant:
    """A server as it is started.

    Attributes:
        server: One of `PEERS`, "ours", "torchserve" or "loop".
        path: "fp32" or "best".
        setting: How it shares the machine.
        model: "n" (yolov8n) or "s" (yolov8s).
        arms: Of our route, half of the cameras each where there are two.
        shadow: Share of the frames that a teacher (yolov8s) answers too, of ours; None: no teacher
            is loaded.
    """

    server: str
    path: str
    setting: Setting = ONE_OF_TWO_THREADS
    model: str = "n"
    arms: int = 1
    shadow: float | None = None

    @property
    def name(self) -> str:
        """Its name in results and tables."""
        parts = [self.server, self.path]
        parts += [] if self.model == "n" else [f"yolov8{self.model}"]
        parts += [] if self.arms == 1 else [f"{self.arms} arms"]
        parts += [] if self.shadow is None else [f"shadow {100 * self.shadow:g}%"]
        return " ".join(parts)

    @property
    def settings_to_try(self) -> tuple[Setting, ...]:
        """The sensible settings, of which a probe takes the faster."""
        both = (ONE_OF_TWO_THREADS, TWO_OF_ONE)
        own_runtime = self.server in PEERS and self.path == FP32
        return (*both, _QUIET) if own_runtime else both

    def set_to(self, setting: Setting) -> "Contestant":
        """Return it with another setting."""
        return replace(self, setting=setting)

    def as_json(self) -> dict[str, Any]:
        """Return it as a cell's input."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Contestant":
        """Return what `as_json` wrote."""
        return cls(**{**values, "setting": Setting(**values["setting"])})


def of_line_2() -> tuple[Contestant, ...]:
    """Return everyone of lines 2a to 2c."""
    paths = (FP32, BEST)
    return tuple(Contestant(one, path) for path in paths for one in (OURS, TORCHSERVE, *PEERS))
