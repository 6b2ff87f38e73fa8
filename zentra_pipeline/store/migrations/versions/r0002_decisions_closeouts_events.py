"""Decisions, closeouts and the event log; what each revision was made from."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the three tables and keep a revision's manifest."""
    op.add_column("run_revisions", sa.Column("manifest", sa.Text, nullable=True))
    op.create_table(
        "decisions",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("decision_id", sa.String(64), nullable=False, unique=True),
        sa.Column("exception_id", sa.String(64), nullable=True),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("decided_at", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("result", sa.String(32), nullable=False),
        sa.Column("owner", sa.Text, nullable=True),
        sa.Column("resolution", sa.String(32), nullable=True),
        sa.Column("details", sa.Text, nullable=False),
    )
    op.create_index("decisions_of_exception", "decisions", ["exception_id", "sequence"])
    op.create_table(
        "closeouts",
        sa.Column("closeout_id", sa.String(64), primary_key=True),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("settlement_file", sa.String(128), nullable=False),
        sa.Column("ledger_window", sa.String(10), nullable=False),
        sa.Column("run_revision", sa.Integer, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("prepared_by", sa.Text, nullable=False),
        sa.Column("prepared_at", sa.String(32), nullable=False),
        sa.Column("approved_by", sa.Text, nullable=True),
        sa.Column("sealed_at", sa.String(32), nullable=True),
        sa.Column("evidence_root", sa.String(64), nullable=False),
        sa.Column("evidence_rows", sa.BigInteger, nullable=False),
        sa.Column("evidence_status", sa.String(16), nullable=False),
        sa.Column("chain_sequence", sa.Integer, nullable=True),
        sa.Column("seal_digest", sa.String(64), nullable=True),
        sa.Column("previous_seal", sa.String(64), nullable=True),
        sa.Column("amends", sa.String(64), nullable=True),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("bundle", sa.Text, nullable=True),
        sa.Column("evidence_path", sa.Text, nullable=True),
        sa.Column("evidence_sha256", sa.String(64), nullable=True),
        sa.UniqueConstraint("run_id", "revision", name="one_closeout_per_revision"),
        sa.UniqueConstraint("provider", "chain_sequence", name="one_seal_per_place"),
    )
    op.create_table(
        "event_log",
        sa.Column("first_position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("event_id", sa.String(64), nullable=True, unique=True),
        sa.Column("event_type", sa.String(64), nullable=True),
        sa.Column("run_id", sa.String(64), nullable=True),
        sa.Column("content", sa.Text, nullable=True),
        sa.Column("path", sa.Text, nullable=True),
        sa.Column("sha256", sa.String(64), nullable=True),
    )
