"""What several hosts share beside facts: locks that are rows, with their fencing numbers, and configuration."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "leases",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.Text, nullable=True),
        sa.Column("taken_at", sa.String(32), nullable=True),
        sa.Column("renewed_at", sa.String(32), nullable=True),
        sa.Column("expires_at", sa.String(32), nullable=True),
    )
    op.create_table(
        "configuration",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=True),
        sa.Column("content", sa.LargeBinary, nullable=True),
        sa.Column("changed_at", sa.String(32), nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
    )
