"""What all sections of a job file share: paths, fractions, and the refusal of unknown keys."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo


def _resolve(path: Path, info: ValidationInfo) -> Path:
    base: Path = info.context["base"] if info.context else Path()
    return (base / path.expanduser()).resolve()


JobPath = Annotated[Path, AfterValidator(_resolve)]
Fraction = Annotated[float, Field(ge=0, le=1)]
ReleaseName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class Section(BaseModel):
    """A part of a job file: unknown keys are refused, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
