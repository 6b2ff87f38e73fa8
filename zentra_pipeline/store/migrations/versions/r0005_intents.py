"""Intents: what was asked for, under which policy, and whether its rows are staged."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "intents",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("intent_id", sa.String(128), nullable=False, unique=True),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("request_digest", sa.String(64), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("submitted_by", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.String(32), nullable=False),
        sa.Column("batch", sa.String(64), nullable=True),
        sa.Column("staging", sa.String(16), nullable=False),
    )
    op.create_index("intents_by_staging", "intents", ["provider", "staging", "sequence"])
