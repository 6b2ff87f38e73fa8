"""Published tables as frames: exact integers, UTC instants, whatever is null."""

from datetime import UTC, datetime
from pathlib import Path

from zentra_pipeline.analysis import frame
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import tenancy


def test_amounts_stay_exact_integers_beside_nulls(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    tenancy.init_home(home)
    tenancy.add_tenant(home, "acme", datetime.now(UTC))
    found = frame(
        "acme",
        "select * from (values (9007199254740993::bigint, timestamp '2026-04-26 10:00:00', true), (null, null, null)) "
        "as rows (amount_minor, posted_at, has_ledger)",
        home=tmp_path,
    )
    assert found["amount_minor"].dtype == "Int64"
    assert found["amount_minor"][0] == 9007199254740993
    assert found["amount_minor"].isna().tolist() == [False, True]
    assert found["posted_at"][0].isoformat() == "2026-04-26T10:00:00+00:00"


def test_tenant_without_runs_has_empty_tables_with_their_columns(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    tenancy.init_home(home)
    tenancy.add_tenant(home, "acme", datetime.now(UTC))
    found = frame("acme", "select * from exceptions", home=tmp_path)
    assert len(found) == 0
    assert {"exception_id", "amount_minor", "owner", "candidates"} <= set(found.columns)
