"""What is known of a file beside its registration: digests of its staged rows, what its reader counted and said."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table; files that are there get their row when a run first reads them."""
    op.create_table(
        "file_facts",
        sa.Column("sequence", sa.Integer, sa.ForeignKey("files.sequence"), primary_key=True, autoincrement=False),
        sa.Column("rows_read", sa.BigInteger, nullable=False),
        sa.Column("staged_sha256", sa.String(64), nullable=True),
        sa.Column("quarantine_sha256", sa.String(64), nullable=True),
        sa.Column("is_proven", sa.Boolean, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("restates", sa.Text, nullable=False),
        sa.Column("received_by", sa.Text, nullable=True),
        sa.Column("row_digest", sa.String(64), nullable=True),
    )
