"""How long and how often: the whole benchmark, or a look whether everything runs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Durations and counts.

    Attributes:
        name: "full" or "quick".
        rounds: Of each comparison, by line.
        seconds: That a load is counted.
        warm_up_s: Before.
        probe_s: That a setting is tried.
        settings: Most settings that a probe tries.
        connections: Of line 4's curve.
        sizes: Of line 4's images.
        shadows: Of line 4, shares of the frames.
        accuracy_images: Of the COCO val half.
        camera_s: That a number of cameras is counted.
        camera_steps: Most numbers of cameras that are tried.
        memory_workers: Of the memory line.
    """

    name: str
    rounds: dict[str, int]
    seconds: float
    warm_up_s: float
    probe_s: float
    settings: int
    connections: tuple[int, ...]
    sizes: tuple[str, ...]
    shadows: tuple[float, ...]
    accuracy_images: int
    camera_s: float
    camera_steps: int
    memory_workers: tuple[int, ...]


FULL = Scale(
    name="full",
    rounds={"overhead": 7, "peers": 5, "growth": 3, "memory": 1},
    seconds=10.0,
    warm_up_s=2.0,
    probe_s=8.0,
    settings=3,
    connections=(1, 2, 4, 8, 16, 32, 64),
    sizes=("640x480", "1280x720", "1920x1080", "2560x1440", "3840x2160"),
    shadows=(0.0, 0.05, 0.5),
    accuracy_images=128,
    camera_s=30.0,
    camera_steps=16,
    memory_workers=(1, 4),
)
QUICK = Scale(
    name="quick",
    rounds={"overhead": 1, "peers": 1, "growth": 1, "memory": 1},
    seconds=1.5,
    warm_up_s=0.5,
    probe_s=1.0,
    settings=1,
    connections=(1, 4),
    sizes=("640x480", "3840x2160"),
    shadows=(0.0, 0.5),
    accuracy_images=4,
    camera_s=3.0,
    camera_steps=2,
    memory_workers=(1,),
)
