"""What a backup says of itself."""

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

NAME = "manifest.json"
ADMIN_KEY = "admin.key"
# Nothing else is ever unpacked: no name leads out of the folder.
_NAMES = r"^(store/[a-z_]+\.jsonl|archives/[0-9a-f]{64}\.mar|keys/[0-9]+-[\w.-]+|admin\.key)$"


class Part(BaseModel):
    """One file of a backup.

    Attributes:
        name: Where it lies in the backup.
        bytes: Its length.
        sha256: Of all of it, hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=_NAMES)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """A whole backup.

    Attributes:
        format: Of the backup; a program that knows another one refuses it.
        understudy: Version of the program that made it.
        made: When, UTC.
        database: Whose rows they were; they may be put back into the other kind.
        revision: The store's schema.
        rows: Of each table.
        parts: Every file but this one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    understudy: str
    made: datetime
    database: str
    revision: str
    rows: dict[str, int]
    parts: tuple[Part, ...]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = {part.name for part in self.parts}
        if len(names) != len(self.parts):
            raise ValueError("parts: a name stands there twice")
        if missing := {table_file(name) for name in self.rows} - names:
            raise ValueError(f"parts: {', '.join(sorted(missing))} is missing")
        return self

    def below(self, folder: str) -> list[str]:
        """Return the names of the parts in a folder of the backup."""
        return [part.name for part in self.parts if part.name.startswith(f"{folder}/")]


def table_file(table: str) -> str:
    """Return where a table's rows lie in a backup."""
    return f"store/{table}.jsonl"
