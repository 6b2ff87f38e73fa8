"""Sign-offs of a month: what was prepared and sealed over the closeouts of its windows."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "period_closeouts",
        sa.Column("closeout_id", sa.String(64), primary_key=True),
        sa.Column("period", sa.String(7), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("prepared_by", sa.Text, nullable=False),
        sa.Column("prepared_at", sa.String(32), nullable=False),
        sa.Column("approved_by", sa.Text, nullable=True),
        sa.Column("sealed_at", sa.String(32), nullable=True),
        sa.Column("evidence_root", sa.String(64), nullable=False),
        sa.Column("evidence_rows", sa.BigInteger, nullable=False),
        sa.Column("chain_sequence", sa.Integer, nullable=True, unique=True),
        sa.Column("seal_digest", sa.String(64), nullable=True),
        sa.Column("previous_seal", sa.String(64), nullable=True),
        sa.Column("amends", sa.String(64), nullable=True),
        sa.Column("reason", sa.Text, nullable=True),
        sa.Column("bundle", sa.Text, nullable=True),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("row_digest", sa.String(64), nullable=True),
        sa.UniqueConstraint("period", "revision", name="one_sign_off_per_revision"),
    )
