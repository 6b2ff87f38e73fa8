"""An ingest killed at any point leaves nothing that is seen, and the next one stages exactly the right rows."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from tests.support.forked import Forking, forking
from zentra_pipeline.ingest.files import IngestOutcome, ingest_files
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import files as registered
from zentra_pipeline.store.engine import operational_store, reading

ROWS = 3_000
KILLS = 8
CHILD = """
from datetime import UTC, datetime
from pathlib import Path
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.settings import TenantPaths
import pandera.polars, zentra_pipeline.store.engine, zentra_pipeline.sources.canonical

WATCHED = {"open", "os.rename", "os.remove", "os.mkdir", "os.scandir", "sqlite3.connect"}

def take(root, how, stop_at, *files):
    seen = counted(root, how, stop_at)
    ingest_files(TenantPaths(Path(root)), provider="rail", kind="settlement", files=[Path(f) for f in files],
                 file_id=None, format="canonical", now=datetime(2026, 4, 27, tzinfo=UTC))
    return seen()
"""


@pytest.fixture(scope="module")
def process() -> Iterator[Forking]:
    with forking(CHILD) as process:
        yield process


def settlement(path: Path, first: int) -> Path:
    header = (
        "line_id,line_type,provider_reference,merchant_reference,"
        "gross_minor,fee_minor,net_minor,currency,settled_at,batch_id"
    )
    lines = [
        f"{i},payment,r{i},,{'bad' if i % 1000 == 1 else i},0,{i},USD,2026-04-26T00:00:00Z,"
        for i in range(first, first + ROWS)
    ]
    path.write_text("\n".join([header, *lines]))
    return path


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sources")
    return [settlement(folder / "set_1.csv", 0), settlement(folder / "set_2.csv", ROWS - 2)]


def ingest(paths: TenantPaths, sources: list[Path]) -> IngestOutcome:
    now = datetime(2026, 4, 27, tzinfo=UTC)
    return ingest_files(
        paths, provider="rail", kind="settlement", files=sources, file_id=None, format="canonical", now=now
    )


def seen(paths: TenantPaths) -> list[tuple[str, int]]:
    """What a reader of the store sees: every registered file whole, as many rows as registered."""
    with reading(operational_store(paths)) as connection:
        rows = registered.staged_files(connection, "settlement")
    found = []
    for row in rows:
        assert row.staged_path is not None
        assert row.quarantine_path is not None
        assert pl.read_parquet(paths.root / row.staged_path).height == row.rows_staged
        assert pl.read_parquet(paths.root / row.quarantine_path).height == row.rows_quarantined
        assert (paths.landing / row.sha256).stat().st_size == row.byte_size
        found.append((row.file_id, row.rows_staged))
    return found


def orphans(paths: TenantPaths) -> Iterator[Path]:
    with reading(operational_store(paths)) as connection:
        rows = registered.staged_files(connection, "settlement")
    known = {paths.landing / row.sha256 for row in rows}
    known |= {paths.root / path for row in rows for path in (row.staged_path, row.quarantine_path) if path}
    for folder in (paths.landing, paths.staged):
        yield from (path for path in folder.rglob("*") if path.is_file() and path not in known)


def test_a_kill_at_any_step_is_healed_by_the_next_ingest(tmp_path: Path, sources: list[Path], process: Forking) -> None:
    whole = [("set_1", ROWS - 3), ("set_2", ROWS - 3)]
    killed = 0
    for kill in range(1, KILLS + 1):
        paths = TenantPaths(tmp_path / f"home{kill}")
        operational_store(paths)
        code, said = process.take(str(paths.root), "kill", kill * 5, *map(str, sources))
        killed += code == -signal.SIGKILL
        assert code in (0, -signal.SIGKILL), said
        assert seen(paths) in ([], whole)
        assert seen(paths) == whole or code != 0
        ingest(paths, sources)
        assert seen(paths) == whole
        assert list(orphans(paths)) == []
    assert killed >= KILLS // 2


def test_a_kill_at_any_moment_is_healed_by_the_next_ingest(
    tmp_path: Path, sources: list[Path], process: Forking
) -> None:
    paths = TenantPaths(tmp_path / "home")
    for milliseconds in (5, 20, 60, 120, 250, 500):
        code, said = process.take(str(paths.root), "alarm", milliseconds, *map(str, sources))
        assert code in (0, -signal.SIGALRM), said
        if paths.operational_store.exists():
            assert len(seen(paths)) in (0, 2)
    ingest(paths, sources)
    assert len(seen(paths)) == 2
    assert list(orphans(paths)) == []
