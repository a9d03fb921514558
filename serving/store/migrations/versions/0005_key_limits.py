"""Keys say how many frames a second their holders may have answered.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("frames_per_second", sa.Float))


def downgrade() -> None:
    op.drop_column("api_keys", "frames_per_second")
