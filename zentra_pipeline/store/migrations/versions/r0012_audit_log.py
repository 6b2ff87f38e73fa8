"""The audit log: who read and asked what, and the decisions, in a chain, from what was decided before on.

Of a requested run, the span that asked for it.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from zentra_pipeline.instants import instant_text
from zentra_pipeline.store import audit

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the table and its first entry, and the column."""
    op.add_column("run_requests", sa.Column("trace", sa.String(64), nullable=True))
    op.create_table(
        "audit_log",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("via", sa.String(16), nullable=False),
        sa.Column("actor", sa.Text, nullable=True),
        sa.Column("role", sa.String(16), nullable=True),
        sa.Column("token_id", sa.String(32), nullable=True),
        sa.Column("os_user", sa.Text, nullable=True),
        sa.Column("request_id", sa.String(64), nullable=True),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=True),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("decision_id", sa.String(64), nullable=True),
        sa.Column("decision_digest", sa.String(64), nullable=True),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    audit.begin(op.get_bind(), instant_text(datetime.now(UTC)))
