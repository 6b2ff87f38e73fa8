"""Dagster's SQLite event log over connections that stay open, as a home's dagster.yaml names it; no record of ours."""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetKeyTable
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.event import listen
from sqlalchemy.pool import StaticPool

# A file a Dagster run: a web server that shows many of them closes the one it has not used for longest.
_OPEN_FILES: Final = 8
_BUSY_TIMEOUT_SECONDS: Final = 60


class KeptSqliteEventLogStorage(SqliteEventLogStorage):
    """Dagster's event log, less its habit of an engine for each statement.

    An event makes some eight statements, and each made a SQLAlchemy engine, a connection and a look at the server's
    version: in a small window that took longer than the run. `synchronous = NORMAL` never leaves a write-ahead log
    broken; a power cut may cost Dagster its last events, and no fact of ours, for those are in the operational store.
    """

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._known_to_hold: set[tuple[str, str]] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> Self:
        """A relative `base_dir` is below the folder of the configuration, which DAGSTER_HOME names."""
        base_dir = Path(config_value["base_dir"])
        if not base_dir.is_absolute():
            base_dir = Path(os.environ["DAGSTER_HOME"]).expanduser().absolute() / base_dir
        return cls(inst_data=inst_data, base_dir=str(base_dir))

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock, self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the cross-run file has a table; like all that is asked here with each event, it stays so."""
        return self._is_so("table", table_name, lambda: super(KeptSqliteEventLogStorage, self).has_table(table_name))

    def has_secondary_index(self, name: str) -> bool:
        """Whether a migration of the cross-run file is done."""
        return self._is_so("index", name, lambda: super(KeptSqliteEventLogStorage, self).has_secondary_index(name))

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        ask = super()._has_asset_key_col_on_connection
        return self._is_so("asset column", column_name, lambda: ask(conn, column_name))

    def _is_so(self, kind: str, name: str, ask: Callable[[], bool]) -> bool:
        """An answer that never becomes untrue; asked again until it is true."""
        if (kind, name) not in self._known_to_hold and ask():
            self._known_to_hold.add((kind, name))
        return (kind, name) in self._known_to_hold

    def _store_asset_event(self, conn: Connection, event: EventLogEntry, event_id: int) -> None:
        """The newest event of an asset, in one statement: Dagster inserts, and updates where that fails."""
        if not (event.dagster_event and event.dagster_event.asset_key):
            return
        values = self._get_asset_entry_values(event, event_id, self._has_asset_key_index_cols_on_connection(conn))
        if values:
            key = event.dagster_event.asset_key.to_string()
            statement = insert(AssetKeyTable).values(asset_key=key, **values)
            conn.execute(statement.on_conflict_do_update(index_elements=[AssetKeyTable.c.asset_key], set_=values))

    def _engine(self, shard: str) -> Engine:
        """The engine of a file, made when the file is first asked for, or is gone; needs the storage's own lock."""
        if not Path(self.path_for_shard(shard)).exists():
            self._close(shard)
        engine = self._engines.pop(shard, None)
        if engine is None:
            engine = self._opened(shard)
        self._engines[shard] = engine
        while len(self._engines) > _OPEN_FILES:
            self._close(next(iter(self._engines)))
        return engine

    def _opened(self, shard: str) -> Engine:
        engine = create_engine(
            self.conn_string_for_shard(shard),
            poolclass=StaticPool,
            connect_args={"timeout": _BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        )
        listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = NORMAL"))
        self._initdb(engine)
        return engine

    def _close(self, shard: str) -> None:
        engine = self._engines.pop(shard, None)
        if engine is not None:
            engine.dispose()

    def dispose(self) -> None:
        """Close every file; the last connection of a file writes its log back."""
        super().dispose()
        for shard in list(self._engines):
            self._close(shard)
