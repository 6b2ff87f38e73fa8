"""Run requests, idempotency keys and the inbox of callbacks: what comes over HTTP."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "run_requests",
        sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.run_id"), primary_key=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("requested_at", sa.String(32), nullable=False),
        sa.Column("launch", sa.Integer, nullable=False),
        sa.Column("launched_by", sa.String(32), nullable=True),
        sa.Column("finished_at", sa.String(32), nullable=True),
        sa.Column("failure", sa.Text, nullable=True),
    )
    op.create_index("run_requests_by_status", "run_requests", ["status", "requested_at"])
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("request_digest", sa.String(64), nullable=False),
        sa.Column("run_id", sa.String(64), sa.ForeignKey("runs.run_id"), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
    )
    op.create_table(
        "callback_inbox",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("format", sa.String(32), nullable=False),
        sa.Column("received_at", sa.String(32), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("verification", sa.String(16), nullable=False),
        sa.Column("batch", sa.String(64), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.UniqueConstraint("provider", "sha256", "verification", name="one_row_per_delivery"),
    )
    op.create_index("callback_inbox_by_status", "callback_inbox", ["provider", "status", "sequence"])
