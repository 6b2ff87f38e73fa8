"""Checks of a store in PostgreSQL: its schema, and settings of the server that it counts on.

Pages, indexes and references are the server's own to keep. Nothing is changed. Does not belong here: what records say
of each other (store_checks).
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from zentra_pipeline.errors import ZentraError
from zentra_pipeline.store import postgresql
from zentra_pipeline.store.engine import reading
from zentra_pipeline.store.migrations import NEWEST_REVISION
from zentra_pipeline.store.place import StorePlace
from zentra_pipeline.upkeep import store_checks
from zentra_pipeline.upkeep.finding import ERROR, NOTE, Finding

_RESTORE = (
    "stop what uses the home and restore the schema from a backup; landed bytes and sealed bundles are not concerned"
)
_ANOTHER_DATABASE = (
    "set ZENTRA_DATABASE_URL to the database that this home's stores were made in, or restored into; only where it is "
    "that one already, restore the schema from a backup"
)
# Without them a crash of the machine may lose or tear what was acknowledged.
_NEEDED = ("fsync", "full_page_writes")


def check_store(place: StorePlace, tables: Sequence[str], revision: bool) -> Iterator[Finding]:
    """What is wrong with a store in itself, wherever it is; `revision`: whether it is under migrations."""
    if place.schema is None:
        yield from store_checks.check_database(place.file, tables, revision)
        return
    if not place.is_made:
        what = "the file that names the store's schema is gone"
        yield Finding("store", place.witness.name, ERROR, what, f"restore {place.witness.name} from a backup")
        return
    try:
        with reading(postgresql.schema_engine(place.schema)) as connection:
            yield from _check_schema(connection, place.name, tables, revision)
    except (SQLAlchemyError, ZentraError) as error:
        what = f"it cannot be read: {' '.join(str(error).split())}"
        yield Finding("store", place.name, ERROR, what, "start the server, or correct ZENTRA_DATABASE_URL")


def _check_schema(connection: Connection, name: str, tables: Sequence[str], revision: bool) -> Iterator[Finding]:
    found = set(inspect(connection).get_table_names())
    if not found & set(tables):
        what = "the database that ZENTRA_DATABASE_URL names has none of its tables"
        yield Finding("store", name, ERROR, what, _ANOTHER_DATABASE)
        return
    for table in sorted(set(tables) - found):
        yield Finding("store", name, ERROR, f"table {table} is gone", _RESTORE)
    if revision and "alembic_version" in found:
        stored = connection.execute(text("select version_num from alembic_version")).scalars().all()
        if stored != [NEWEST_REVISION]:
            what = f"its schema is at {', '.join(stored) or 'no revision'}, this program's at {NEWEST_REVISION}"
            yield Finding("store", name, ERROR, what, "use the version of Zentra that wrote it, or a newer one")
    for setting in _NEEDED:
        if connection.execute(text(f"show {setting}")).scalar_one() != "on":
            what = f"the server runs with {setting} off: a crash of the machine may lose what was acknowledged"
            yield Finding("store", name, NOTE, what, f"set {setting} = on in postgresql.conf and restart the server")
