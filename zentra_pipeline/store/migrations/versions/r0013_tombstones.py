"""Tombstones: what stands for bytes that retention deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "tombstones",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("byte_size", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("files", sa.Text, nullable=False),
        sa.Column("sealed_by", sa.Text, nullable=False),
        sa.Column("bodies", sa.Integer, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("deleted_at", sa.String(32), nullable=False),
        sa.Column("row_digest", sa.String(64), nullable=True),
    )
