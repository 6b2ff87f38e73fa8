"""Where a store is: in a SQLite file of its folder, or in a schema of the PostgreSQL database.

A folder decides for itself: `postgresql.json` names its schema, a database file is its store; only a folder that has
neither goes by ZENTRA_DATABASE_URL. Does not belong here: opening a store.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zentra_pipeline import blobs, storage
from zentra_pipeline.durable_files import write_durably
from zentra_pipeline.errors import UsageError, ZentraError
from zentra_pipeline.settings import DATABASE_VARIABLE, Home, TenantPaths, database_url

MARKER: Final = "postgresql.json"
_PREFIX: Final = "zentra_"
_MAX_SCHEMA: Final = 63  # bytes of a PostgreSQL identifier; more would be cut off in silence


@dataclass(frozen=True)
class StorePlace:
    """`file` is the SQLite file; with a `schema` the store is in PostgreSQL, and there is no such file."""

    file: Path
    schema: str | None
    is_made: bool

    @property
    def name(self) -> str:
        """What the store is called in messages: `ops.db`, or `schema zentra_…`."""
        return self.file.name if self.schema is None else f"schema {self.schema}"

    @property
    def witness(self) -> Path:
        """The file that is there as long as the store is: the database, or the marker that names its schema."""
        return self.file if self.schema is None else self.file.with_name(MARKER)

    @property
    def lock(self) -> Path:
        """What whoever makes or migrates the store holds."""
        return self.file.with_suffix(".lock")

    @property
    def marker(self) -> bytes:
        """What the file says that names the schema."""
        return (json.dumps({"schema": self.schema}) + "\n").encode()

    def record(self) -> None:
        """Write the marker of a schema that has been made: whole or not at all, and for good."""
        if self.schema is None or self.is_made:
            return
        write_durably(self.witness, self.marker)


def operational_place(paths: TenantPaths) -> StorePlace:
    """Where a tenant's operational store is, or will be; the home's id in the schema's name is the home's own."""
    file = paths.operational_store
    home = paths.root.parent.parent
    home_schema = _recorded(home / MARKER) if paths.root.parent == Home(home).tenants else None
    return _place(file, _tenant_schema(home_schema or _new_schema(), paths.root.name))


def control_place(home: Home) -> StorePlace:
    """Where a home's control store is, or will be; UsageError when the home has SQLite files and a URL is set."""
    place = _place(home.control_store, _new_schema())
    url = storage.of_home(home).url
    if url is not None and place.schema is None:
        raise UsageError(
            f"the files of this home are in {blobs.shown(url)}, where several hosts may work, so that its stores have "
            f"to be in PostgreSQL: set {DATABASE_VARIABLE}, and use a folder in which no store was made before"
        )
    if url is not None and not place.is_made and (marker := blobs.read_of_home(home, MARKER)) is not None:
        home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(home.root / MARKER, marker)  # another host has made it
        place = _place(home.control_store, _new_schema())
    if place.schema is None and database_url() is not None:
        raise UsageError(
            f"{home.root} keeps its stores in SQLite files, and {DATABASE_VARIABLE} is set: unset it to use this home, "
            "or make another one with `zentra init --home DIR`"
        )
    return place


def _place(file: Path, new_schema: str) -> StorePlace:
    schema = _recorded(file.with_name(MARKER))
    if schema is not None:
        return StorePlace(file, schema, is_made=True)
    is_made = file.is_file()
    return StorePlace(file, None if is_made or database_url() is None else new_schema, is_made)


def _recorded(marker: Path) -> str | None:
    """The schema a marker names, null where there is no marker."""
    try:
        schema = json.loads(marker.read_bytes())["schema"]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise ZentraError(f"{marker}: it names no schema ({cause!r}); restore it from a backup") from cause
    if not isinstance(schema, str) or not schema.startswith(_PREFIX) or '"' in schema:
        raise ZentraError(f"{marker}: {schema!r} is not a schema of Zentra; restore it from a backup")
    return schema


def _new_schema() -> str:
    """A schema for a new home: several homes may share a database."""
    return _PREFIX + secrets.token_hex(6)


def _tenant_schema(home_schema: str, tenant: str) -> str:
    schema = f"{home_schema}_{tenant}"
    if len(schema.encode()) <= _MAX_SCHEMA:
        return schema
    digest = hashlib.sha256(tenant.encode()).hexdigest()[:10]
    return f"{schema.encode()[: _MAX_SCHEMA - 11].decode(errors='ignore')}_{digest}"
