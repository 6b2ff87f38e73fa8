"""Runs the command line in this process, as `zentra` would, against a home of the test's own."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from zentra_pipeline import cli
from zentra_pipeline.published import lake_files
from zentra_pipeline.settings import Home
from zentra_pipeline.store import runs
from zentra_pipeline.tenants.tenant import Tenant


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Zentra = Callable[..., Done]


@pytest.fixture
def zentra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Zentra:
    """Call with the command's arguments; the home is `tmp_path / "home"` unless the arguments name another."""
    monkeypatch.setenv("ZENTRA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ZENTRA_ACTOR", raising=False)
    monkeypatch.delenv("ZENTRA_DEBUG", raising=False)

    def run(*arguments: object) -> Done:
        capsysbinary.readouterr()
        code = cli.invoke([str(argument) for argument in arguments])
        out, err = capsysbinary.readouterr()
        return Done(code, out.decode(), err.decode())

    return run


@pytest.fixture
def acme(zentra: Zentra) -> Zentra:
    """The command line with a home that has the tenant `acme`."""
    assert zentra("init").code == 0
    assert zentra("tenant", "add", "acme").code == 0
    return zentra


@pytest.fixture
def settlement_csv(tmp_path: Path) -> Path:
    """Two good lines and a bad one."""
    path = tmp_path / "set_2026_04_26.csv"
    path.write_text(
        "line_id,line_type,provider_reference,merchant_reference,gross_minor,fee_minor,net_minor,currency,settled_at,batch_id\n"
        "L1,payment,r1,m1,1000,10,990,USD,2026-04-26T08:00:00Z,B1\n"
        "L2,refund,r2,m2,-500,0,-500,USD,2026-04-26T09:00:00Z,B1\n"
        "L3,payment,r3,m3,12.0,0,12,USD,2026-04-26T09:00:00Z,B1\n",
        encoding="utf-8",
    )
    return path


Publish = Callable[..., str]


@pytest.fixture
def publish(acme: Zentra, tmp_path: Path) -> Publish:
    """Publish a run of `acme` whose tables hold the rows given as `table=[{column: value}]`; returns its id."""
    tenant = Tenant.of(Home.at(tmp_path / "home"), "acme")
    now = datetime(2026, 4, 27, 6, tzinfo=UTC)

    def publish(window: date, **tables: list[Mapping[str, object]]) -> str:
        with tenant.writing() as store:
            run = runs.find_or_create(
                store,
                tenant="acme",
                provider="rail",
                settlement_file=window.strftime("set_%Y_%m_%d"),
                ledger_window=window,
                owner="finance_ops",
                actor="cli",
                as_of=None,
                now=now,
            )
        with duckdb.connect() as connection:
            connection.execute("attach ':memory:' as \"window\"")
            connection.execute('create schema "window".zentra')
            connection.execute('create schema "window".earlier')
            connection.execute('create table "window".earlier.runs (run_id varchar, ledger_window date)')
            for table in lake_files.ROW_ORDER:
                connection.execute(f'create table "window".zentra.{table} ({lake_files.columns_sql(table)})')
                for given in tables.get(table, ()):
                    row = {"run_id": run.run_id, **given}
                    columns, marks = ", ".join(row), ", ".join("?" * len(row))
                    connection.execute(
                        f'insert into "window".zentra.{table} ({columns}) values ({marks})', list(row.values())
                    )
            published = lake_files.publish(
                connection,
                tenant.paths,
                provider="rail",
                ledger_window=run.ledger_window,
                run_id=run.run_id,
                revision=1,
            )
        with tenant.writing() as store:
            entries = {name: vars(table) for name, table in published.items()}
            runs.record_revision(store, run.run_id, 1, "f" * 64, "d" * 64, run.owner, run.as_of, entries, {}, now)
        return run.run_id

    return publish
