"""Releases say how many threads a run may use and how long a batch may fill.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "releases", sa.Column("batch_delay_ms", sa.Integer, nullable=False, server_default="0")
    )
    op.add_column("releases", sa.Column("threads", sa.Integer))


def downgrade() -> None:
    op.drop_column("releases", "threads")
    op.drop_column("releases", "batch_delay_ms")
