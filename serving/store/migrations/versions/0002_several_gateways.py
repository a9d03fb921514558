"""Lease, generation, placements, windows, cameras, rollouts; heartbeats are counted.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "gateways", sa.Column("beat", sa.Integer, nullable=False, server_default="0")
    )
    op.create_table(
        "leases",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("expires", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_leases"),
    )
    op.create_table(
        "generation",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("value", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generation"),
    )
    op.create_table(
        "placements",
        sa.Column("backend", sa.String(255), nullable=False),
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("ready_workers", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("backend", "model", "version", name="pk_placements"),
    )
    op.create_table(
        "windows",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("gateway", sa.String(64), nullable=False),
        sa.Column("start", sa.DateTime, nullable=False),
        sa.Column("route", sa.String(63), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("arm", sa.String(63), nullable=False),
        sa.Column("model", sa.String(63), nullable=False),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("codes", sa.JSON, nullable=False),
        sa.Column("latency", sa.JSON, nullable=False),
        sa.Column("agreement", sa.JSON),
        sa.PrimaryKeyConstraint("id", name="pk_windows"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_windows_start", "windows", ["start"])
    op.create_index("ix_windows_route_start", "windows", ["route", "start"])
    op.create_index("ix_windows_route_id", "windows", ["route", "id"])
    op.create_table(
        "window_cameras",
        sa.Column("window", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("start", sa.DateTime, nullable=False),
        sa.Column("cameras", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("window", name="pk_window_cameras"),
    )
    op.create_index("ix_window_cameras_start", "window_cameras", ["start"])
    op.create_table(
        "cameras",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("group", sa.String(64), nullable=False),
        sa.Column("expected_fps", sa.Float),
        sa.Column("first_seen", sa.DateTime),
        sa.Column("last_seen", sa.DateTime),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cameras"),
    )
    op.create_table(
        "rollouts",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("route", sa.String(63), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("started", sa.DateTime, nullable=False),
        sa.Column("rollout", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rollouts"),
    )
    op.create_index("ix_rollouts_started", "rollouts", ["started"])


def downgrade() -> None:
    for name in (
        "rollouts",
        "cameras",
        "window_cameras",
        "windows",
        "placements",
        "generation",
        "leases",
    ):
        op.drop_table(name)
    op.drop_column("gateways", "beat")
