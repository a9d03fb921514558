"""Whether frames are harvested, where they go and how much of them is kept."""

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from serving.store.values import Frozen


class HarvestPlan(Frozen):
    """Limits of a harvest; there is none without a plan.

    Attributes:
        folder: Made when missing; several gateways may share it.
        below_f1: Frames are kept on which the arms' agreement is below this.
        max_per_minute: Frames kept by one gateway in a minute.
        max_per_minute_of_camera: Frames of one camera kept by one gateway in a minute, so that
            no single scene fills the folder.
        max_bytes: Of all frames in the folder; the oldest are removed first.
        max_age_days: Older frames are removed.
    """

    folder: Path
    below_f1: float = Field(default=0.5, gt=0, le=1)
    max_per_minute: int = Field(default=10, ge=1, le=6000)
    max_per_minute_of_camera: int = Field(default=2, ge=1, le=6000)
    max_bytes: int = Field(default=1024**3, ge=1)
    max_age_days: float = Field(default=30, gt=0, le=3650)

    @property
    def max_age(self) -> timedelta:
        """How long a frame is kept."""
        return timedelta(days=self.max_age_days)
