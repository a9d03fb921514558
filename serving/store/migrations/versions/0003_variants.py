"""Releases name the variant that their workers serve.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "releases", sa.Column("variant", sa.String(63), nullable=False, server_default="auto")
    )


def downgrade() -> None:
    op.drop_column("releases", "variant")
