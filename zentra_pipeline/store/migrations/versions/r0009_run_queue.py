"""What the queue of runs needs: whose `as_of` it is, which runs are void; of a request how often, why, and its lease.

Until now a run was created at its `as_of` exactly where nobody gave one.
"""

import sqlalchemy as sa
from alembic import op

from zentra_pipeline.store import digests

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns; a run's digest covers the new one, unless it was wrong before."""
    connection = op.get_bind()
    op.add_column("run_requests", sa.Column("asked", sa.Integer, nullable=False, server_default="1"))
    op.add_column("run_requests", sa.Column("reason", sa.Text, nullable=True))
    op.add_column("run_requests", sa.Column("lease_until", sa.String(32), nullable=True))
    runs = sa.Table("runs", sa.MetaData(), autoload_with=connection)
    sound = [
        dict(row._mapping)
        for row in connection.execute(sa.select(runs)).all()
        if row._mapping[digests.COLUMN] == digests.digest_of(runs, dict(row._mapping))
    ]
    op.add_column("runs", sa.Column("is_as_of_given", sa.Boolean, nullable=True))
    op.add_column("runs", sa.Column("is_void", sa.Boolean, nullable=True))
    runs = sa.Table("runs", sa.MetaData(), autoload_with=connection)
    connection.execute(sa.update(runs).values(is_as_of_given=runs.c.as_of != runs.c.created_at, is_void=False))
    for values in sound:
        values |= {"is_as_of_given": values["as_of"] != values["created_at"], "is_void": False}
        this = runs.c.run_id == values["run_id"]
        connection.execute(sa.update(runs).where(this).values({digests.COLUMN: digests.digest_of(runs, values)}))
