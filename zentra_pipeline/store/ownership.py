"""Which home's folder a schema of PostgreSQL belongs to: of two that write into one, each lacks the other's files.

The schema's comment names the folder. Does not belong here: which schema a folder names (place).
"""

import json
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, text

from zentra_pipeline import blobs, storage
from zentra_pipeline.errors import UsageError
from zentra_pipeline.settings import DATABASE_VARIABLE, Home
from zentra_pipeline.store.place import MARKER, StorePlace

_BEGINNING: Final = "Zentra home in "
_COMMENT: Final = text(
    "SELECT obj_description(oid, 'pg_namespace') AS said, "
    "NOT pg_is_in_recovery() AND pg_has_role(nspowner, 'USAGE') AS may_say FROM pg_namespace WHERE nspname = :schema"
)


def is_claimed(connection: Connection, home: Home, place: StorePlace) -> bool:
    """Whether the home's schema says that it belongs to this folder, or can be given no word on it.

    UsageError where it belongs to another folder that is still there: this one is a copy of it.
    """
    if place.schema is None:
        return True
    found = connection.execute(_COMMENT, {"schema": place.schema}).one_or_none()
    if found is None or found.said == _comment(home):
        return True
    said = found.said or ""
    if said.startswith(_BEGINNING):
        _refuse_a_copy(home, place, Path(said.removeprefix(_BEGINNING)))
    return not found.may_say


def claim(connection: Connection, home: Home, place: StorePlace) -> None:
    """Have the home's schema say that it belongs to this folder."""
    if place.schema is not None:
        comment = _comment(home).replace("'", "''")
        connection.exec_driver_sql(
            f"COMMENT ON SCHEMA \"{place.schema}\" IS '{comment}'", execution_options={"no_parameters": True}
        )


def _comment(home: Home) -> str:
    url = storage.of_home(home).url
    return _BEGINNING + (str(home.root.resolve()) if url is None else blobs.shown(url))


def _refuse_a_copy(home: Home, place: StorePlace, other: Path) -> None:
    marker = other / MARKER
    try:
        is_other = not other.samefile(home.root) and json.loads(marker.read_bytes())["schema"] == place.schema
    except (OSError, ValueError, KeyError, TypeError):
        return  # moved here, or restored in its stead
    if is_other:
        raise UsageError(
            f"{home.root} is a copy of the home in {other}, and {place.name} of the database that {DATABASE_VARIABLE} "
            "names is that home's: restore a dump of it into another database and name that one, or use the other "
            f"folder; where this one replaces it, remove {marker} first"
        )
