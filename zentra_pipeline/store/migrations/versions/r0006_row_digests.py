"""A digest of its own for each row that somebody answers for; those that are there get one of what they hold now."""

import sqlalchemy as sa
from alembic import op

from zentra_pipeline.store import digests

revision = "0006"
down_revision = "0005"

_TABLES = (
    *("files", "runs", "run_revisions", "run_transitions", "decisions", "closeouts", "event_log"),
    *("callback_inbox", "intents"),
)


def upgrade() -> None:
    """Add the column and fill it."""
    connection = op.get_bind()
    for name in _TABLES:
        op.add_column(name, sa.Column(digests.COLUMN, sa.String(64), nullable=True))
        table = sa.Table(name, sa.MetaData(), autoload_with=connection)
        for row in connection.execute(sa.select(table)).all():
            key = sa.and_(*(each == row._mapping[each.name] for each in table.primary_key))
            digest = digests.digest_of(table, dict(row._mapping))
            connection.execute(sa.update(table).where(key).values({digests.COLUMN: digest}))
