"""Intents that are stated call by call: what each call added, until amount, currency and provider are all known."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "intent_details",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("intent_id", sa.String(128), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("submitted_by", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.String(32), nullable=False),
        sa.Column("row_digest", sa.String(64), nullable=True),
    )
    op.create_index("intent_details_by_intent", "intent_details", ["intent_id", "sequence"])
