"""An ingest of several kinds killed at any point leaves nothing seen; the next stages exactly the right rows."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from tests.support.forked import Forking, forking
from zentra_pipeline.ingest.files import FilesOfKind, IngestOutcome, ingest_together
from zentra_pipeline.settings import Home
from zentra_pipeline.store import files as registered
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = pytest.mark.ci

ROWS = 3_000
KILLS = 8
CHILD = """
from datetime import UTC, datetime
from pathlib import Path
from zentra_pipeline.ingest.files import FilesOfKind, ingest_together
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant
import pandera.polars, zentra_pipeline.store.engine, zentra_pipeline.sources.canonical

WATCHED = {"open", "os.rename", "os.remove", "os.mkdir", "os.scandir", "sqlite3.connect"}

def take(root, how, stop_at, *files):
    seen = counted(root, how, stop_at)
    tenant = Tenant.of(Home(Path(root)), "acme")
    *settlements, ledger = map(Path, files)
    kinds = [FilesOfKind("rail", kind, named, None, "canonical")
             for kind, named in (("settlement", settlements), ("ledger", [ledger]))]
    ingest_together(tenant, kinds, now=datetime(2026, 4, 27, tzinfo=UTC))
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


def ledger(path: Path) -> Path:
    header = (
        "entry_id,transaction_id,movement_type,account,direction,"
        "amount_minor,currency,posted_at,provider,provider_reference,intent_id"
    )
    lines = [
        f"e{i},t{i},payment,cash,debit,{'bad' if i % 1000 == 1 else 5},USD,2026-04-26T00:00:00Z,rail,r{i},"
        for i in range(ROWS)
    ]
    path.write_text("\n".join([header, *lines]))
    return path


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sources")
    settlements = [settlement(folder / "set_1.csv", 0), settlement(folder / "set_2.csv", ROWS - 2)]
    return [*settlements, ledger(folder / "ledger.csv")]


def ingest(tenant: Tenant, sources: list[Path]) -> list[IngestOutcome]:
    kinds = [
        FilesOfKind("rail", "settlement", sources[:2], None, "canonical"),
        FilesOfKind("rail", "ledger", sources[2:], None, "canonical"),
    ]
    return ingest_together(tenant, kinds, now=datetime(2026, 4, 27, tzinfo=UTC))


def seen(tenant: Tenant) -> list[tuple[str, int]]:
    """What a reader of the store sees: every registered file whole, as many rows as registered."""
    with tenant.reading() as connection:
        rows = registered.registered_files(connection)
    found = []
    for row in rows:
        assert row.staged_path is not None
        assert row.quarantine_path is not None
        assert pl.read_parquet(tenant.paths.root / row.staged_path).height == row.rows_staged
        assert pl.read_parquet(tenant.paths.root / row.quarantine_path).height == row.rows_quarantined
        assert (tenant.paths.landing / row.sha256).stat().st_size == row.byte_size
        found.append((row.file_id, row.rows_staged))
    return found


def orphans(tenant: Tenant) -> Iterator[Path]:
    with tenant.reading() as connection:
        rows = registered.registered_files(connection)
    known = {tenant.paths.landing / row.sha256 for row in rows}
    known |= {tenant.paths.root / path for row in rows for path in (row.staged_path, row.quarantine_path) if path}
    for folder in (tenant.paths.landing, tenant.paths.staged):
        yield from (path for path in folder.rglob("*") if path.is_file() and path not in known)


def test_a_kill_at_any_step_is_healed_by_the_next_ingest(tmp_path: Path, sources: list[Path], process: Forking) -> None:
    whole = [("set_1", ROWS - 3), ("set_2", ROWS - 3), ("ledger", ROWS - 3)]
    killed = 0
    for kill in range(1, KILLS + 1):
        tenant = Tenant.of(Home(tmp_path / f"home{kill}"), "acme")
        assert tenant.store
        code, said = process.take(str(tenant.home.root), "kill", kill * 8, *map(str, sources))
        killed += code == -signal.SIGKILL
        assert code in (0, -signal.SIGKILL), said
        assert seen(tenant) in ([], whole)
        assert seen(tenant) == whole or code != 0
        ingest(tenant, sources)
        assert seen(tenant) == whole
        assert list(orphans(tenant)) == []
    assert killed >= KILLS // 2


def test_a_kill_at_any_moment_is_healed_by_the_next_ingest(
    tmp_path: Path, sources: list[Path], process: Forking
) -> None:
    tenant = Tenant.of(Home(tmp_path / "home"), "acme")
    for milliseconds in (5, 20, 60, 120, 250, 500):
        code, said = process.take(str(tenant.home.root), "alarm", milliseconds, *map(str, sources))
        assert code in (0, -signal.SIGALRM), said
        if tenant.paths.operational_store.exists():
            assert len(seen(tenant)) in (0, 3)
    ingest(tenant, sources)
    assert len(seen(tenant)) == 3
    assert list(orphans(tenant)) == []
