"""The tables. A change here needs a migration: a test compares the two."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)


class UtcTime(TypeDecorator[datetime]):
    """A time that goes in and comes out aware and in UTC; the database keeps it without a zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive time: nobody could tell its zone afterwards."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; use datetime.now(UTC)")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


metadata = MetaData(
    naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_name)s"}
)

# Every change of every route is a row and none is ever changed or removed: the newest of a name
# is its desired state, the older ones are its history.
route_revisions = Table(
    "route_revisions",
    metadata,
    Column("revision", Integer, primary_key=True),
    Column("name", String(63), nullable=False, index=True),
    Column("route", JSON, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    sqlite_autoincrement=True,  # a number is never given twice
)

releases = Table(
    "releases",
    metadata,
    Column("model", String(63), primary_key=True),
    Column("version", String(32), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("class_names", JSON, nullable=False),
    Column("operating_thresholds", JSON, nullable=False),
    Column("quality_measured", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("workers", Integer, nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("variant", String(63), nullable=False, server_default="auto"),
    Column("batch_delay_ms", Integer, nullable=False, server_default="0"),
    Column("threads", Integer),
    Column("created", UtcTime, nullable=False),
    Column("updated", UtcTime, nullable=False),
)

gateways = Table(
    "gateways",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("started", UtcTime, nullable=False),
    Column("heartbeat", UtcTime, nullable=False),
    Column("beat", Integer, nullable=False, server_default="0"),
    Column("revision", Integer, nullable=False),
    Column("in_flight", JSON, nullable=False),
)

# One row.
leases = Table(
    "leases",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("expires", UtcTime, nullable=False),
)

# One row.
generation = Table(
    "generation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", Integer, nullable=False),
)

placements = Table(
    "placements",
    metadata,
    Column("backend", String(255), primary_key=True),
    Column("model", String(63), primary_key=True),
    Column("version", String(32), primary_key=True),
    Column("ready_workers", Integer, nullable=False),
)

windows = Table(
    "windows",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("gateway", String(64), nullable=False),
    Column("start", UtcTime, nullable=False, index=True),
    Column("route", String(63), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("arm", String(63), nullable=False),
    Column("model", String(63), nullable=False),
    Column("version", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("codes", JSON, nullable=False),
    Column("latency", JSON, nullable=False),
    Column("agreement", JSON(none_as_null=True)),
    Index("ix_windows_route_start", "route", "start"),
    Index("ix_windows_route_id", "route", "id"),
    sqlite_autoincrement=True,
)

# The larger part of a window, and the first to be forgotten.
window_cameras = Table(
    "window_cameras",
    metadata,
    Column("window", Integer, primary_key=True, autoincrement=False),
    Column("start", UtcTime, nullable=False, index=True),
    Column("cameras", JSON, nullable=False),
)

cameras = Table(
    "cameras",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("group", String(64), nullable=False),
    Column("expected_fps", Float),
    Column("first_seen", UtcTime),
    Column("last_seen", UtcTime),
    Column("note", Text, nullable=False),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("route", String(63), nullable=False),
    Column("state", String(16), nullable=False),
    Column("started", UtcTime, nullable=False, index=True),
    Column("rollout", JSON, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("scope", String(16), nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("expires", UtcTime),
    Column("revoked", UtcTime),
    Column("frames_per_second", Float),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_autoincrement=True,
)
