"""Brings a database to the schema of this code."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from serving.errors import ConfigurationError

_FOLDER = Path(__file__).parent / "migrations"


def revisions() -> list[str]:
    """Return every schema that this code knows, the first one first."""
    known = ScriptDirectory(str(_FOLDER)).walk_revisions()
    return [script.revision for script in known][::-1]


def revision_of(connection: Connection) -> str | None:
    """Return a database's schema; None where it has none yet."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run the migrations that are missing, in the caller's transaction: all of them or none.

    Args:
        connection: In a write transaction.
        to: The last one to run.

    Raises:
        ConfigurationError: A newer version of this program wrote the database.
    """
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    unknown = set(MigrationContext.configure(connection).get_current_heads()) - set(revisions())
    if unknown:
        raise ConfigurationError(
            f"store: the database is at schema {', '.join(sorted(unknown))}, which this version "
            "does not know: a newer one wrote it. Upgrade this program or use another state folder"
        )
    command.upgrade(config, to)


def must_be_current(connection: Connection) -> None:
    """Check that no migration is missing.

    Args:
        connection: To the database.

    Raises:
        ConfigurationError: One is, or the database is a newer version's.
    """
    known = ScriptDirectory(str(_FOLDER)).get_heads()
    found = MigrationContext.configure(connection).get_current_heads()
    if set(found) != set(known):
        raise ConfigurationError(
            f"store: the database is at schema {', '.join(found) or 'none'} and this version needs "
            f"{', '.join(known)}; run `understudy migrate`, or let this program do it "
            "(UNDERSTUDY_MIGRATE=true)"
        )
