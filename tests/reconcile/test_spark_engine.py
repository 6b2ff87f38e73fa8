"""Runs on Spark Connect: they publish the very bytes that DuckDB does, also where a worker or the server dies."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.bank_rows import Line
from tests.scenarios.bank_world import BankWorld
from tests.scenarios.rows import MON, TUE, call, post, settle
from tests.scenarios.world import World
from tests.support import engines
from zentra_pipeline import settings
from zentra_pipeline.errors import RunFailedError, UsageError
from zentra_pipeline.reconcile import dbt_execute, spark_engine
from zentra_pipeline.reconcile.window_run import WindowResult
from zentra_pipeline.store import runs as run_store

pytestmark = pytest.mark.ci


@pytest.fixture
def on_spark(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Have the runs that follow executed on Spark Connect, at an address or on Sail in this process."""

    def switch(remote: str | None) -> None:
        monkeypatch.setenv(settings.ENGINE_VARIABLE, "spark")
        if remote is None:
            monkeypatch.delenv(settings.SPARK_VARIABLE, raising=False)
        else:
            monkeypatch.setenv(settings.SPARK_VARIABLE, remote)

    return switch


def digests(result: WindowResult) -> dict[str, tuple[int, str]]:
    return {name: (table.rows, table.sha256) for name, table in result.tables.items()}


def two_windows(folder: Path) -> World:
    """Matches, breaks, carried items, callbacks, a refund, sums that ten thousand times over leave 64 bits."""
    world = World(folder, {"settlement_lag_days": 0, "fee_schedule": {"rate_bps": 100, "fixed_minor": 0}})
    for n, on in enumerate((MON, TUE)):
        whole, short, alone = f"W{n}", f"it's {n}", f"A{n}"
        world.add(settle(f"L{whole}", whole, 500, on=on, fee=5), post(f"T{whole}", whole, 500, on=on))
        world.add(settle(f"LB{n}", f"B{n}", 10**15, on=on), post(f"TB{n}", f"B{n}", 10**15, on=on))
        world.add(settle(f"L{short}", short, 500, on=on), post(f"T{short}", short, 400, on=on))
        world.add(settle(f"L{alone}", alone, 70 + n, on=on), post(f"T{alone}x", f'{alone}"x', 70 + n, on=on))
        world.add(call(f"E{whole}", whole, 500, on=on), call(f"E{alone}", alone, 70 + n, on=on, status="failed"))
    world.add(settle("LR", "RW0", -500, on=TUE, type="refund", original="W0"))
    world.deliver()
    return world


def test_sail_publishes_the_bytes_that_duckdb_does(tmp_path: Path, on_spark: Callable[[str | None], None]) -> None:
    one, other = two_windows(tmp_path / "one"), two_windows(tmp_path / "other")
    expected = [one.reconcile(day) for day in (MON, TUE)]
    on_spark(None)
    made = [other.reconcile(day) for day in (MON, TUE)]
    assert [digests(result) for result in made] == [digests(result) for result in expected]
    assert [result.run.inputs_digest for result in made] == [result.run.inputs_digest for result in expected]
    assert not list(other.paths.scratch.iterdir())


def paid_out(folder: Path) -> BankWorld:
    """A payout that is credited, one that is short, one that waits, and a credit that nobody expects."""
    world = BankWorld(folder, {"bank_reference_pattern": "BATCH ([A-Z0-9]+)"})
    for payout, amount in (("P1", 5000), ("P2", 700), ("P3", 90)):
        world.pay(payout, amount, MON)
    world.deliver()
    world.reconcile(MON)
    world.state(MON, Line("1", 5000, "BATCH P1"), Line("2", 690, "batch P2"), Line("3", 33, "x"))
    return world


def test_a_day_of_a_bank_account_on_sail(tmp_path: Path, on_spark: Callable[[str | None], None]) -> None:
    one, other = paid_out(tmp_path / "one"), paid_out(tmp_path / "other")
    expected = one.bank_day(MON)
    on_spark(None)
    assert digests(other.bank_day(MON)) == digests(expected)


def test_a_server_that_dies_leaves_nothing_and_the_next_attempt_is_right(
    tmp_path: Path, on_spark: Callable[[str | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two_windows(tmp_path / "one"), two_windows(tmp_path / "other")
    expected = one.reconcile(MON)
    port = engines.free_port()
    on_spark(f"sc://127.0.0.1:{port}")
    make = spark_engine.SparkEngine.make
    with engines.sail(port) as server:

        def make_then_die(engine: Any, statement: Any) -> int | None:
            if statement.name == "int_item_outcomes":
                server.kill()
                server.wait()
            return make(engine, statement)

        with monkeypatch.context() as dying:
            dying.setattr(spark_engine.SparkEngine, "make", make_then_die)
            with pytest.raises(RunFailedError, match="model int_item_outcomes could not be built"):
                other.reconcile(MON)
    with other.tenant.reading() as connection:
        (run,) = run_store.list_runs(connection)
    assert (run.status, run.revision) == ("failed", 0)
    assert not list(other.paths.lake.rglob("*.parquet"))
    assert not list(other.paths.scratch.iterdir())
    with pytest.raises(RunFailedError, match=f"no Spark Connect server answers at sc://127.0.0.1:{port}"):
        other.reconcile(MON)
    with engines.sail(port):
        assert digests(other.reconcile(MON)) == digests(expected)


def test_amounts_whose_sums_could_leave_64_bits_are_refused_before_anything_is_made(
    tmp_path: Path, on_spark: Callable[[str | None], None]
) -> None:
    world = World(tmp_path)
    world.add(*(settle(f"L{n}", f"R{n}", 10**15 - 1, on=MON) for n in range(101)))
    world.deliver()
    on_spark(None)
    with pytest.raises(
        RunFailedError, match=r"gross_minor of raw\.settlement_lines comes to 100999999999999899 in all"
    ):
        world.reconcile(MON)


def test_another_engine_or_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.ENGINE_VARIABLE, "flink")
    with pytest.raises(UsageError, match="ZENTRA_ENGINE is 'flink': use duckdb or spark"):
        dbt_execute.build(None)  # type: ignore[arg-type]
    monkeypatch.setenv(settings.SPARK_VARIABLE, "localhost:15002")
    with pytest.raises(UsageError, match="set it to a Spark Connect server, such as sc://localhost:15002"):
        settings.spark_remote()


@pytest.fixture
def spark_home() -> Path:
    home = engines.spark_home()
    if home is None:
        pytest.skip("no Spark: set SPARK_HOME to a distribution, or pip install pyspark, and have Java 17")
    return home


@pytest.mark.slow
def test_spark_publishes_the_bytes_that_duckdb_does(
    tmp_path: Path, on_spark: Callable[[str | None], None], spark_home: Path
) -> None:
    one, other = two_windows(tmp_path / "one"), two_windows(tmp_path / "other")
    expected = [one.reconcile(day) for day in (MON, TUE)]
    port = engines.free_port()
    on_spark(f"sc://127.0.0.1:{port}")
    with engines.spark(spark_home, port):
        made = [other.reconcile(day) for day in (MON, TUE)]
    assert [digests(result) for result in made] == [digests(result) for result in expected]


@pytest.mark.slow
def test_workers_of_spark_that_die_are_replaced_and_the_run_comes_to_the_same_bytes(
    tmp_path: Path, on_spark: Callable[[str | None], None], spark_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two workers is killed within each of three statements: behind the second both of the first are gone."""
    one, other = two_windows(tmp_path / "one"), two_windows(tmp_path / "other")
    expected = one.reconcile(MON)
    port = engines.free_port()
    on_spark(f"sc://127.0.0.1:{port}")
    make = spark_engine.SparkEngine.make
    killed: list[int] = []
    with engines.spark(spark_home, port, "local-cluster[2,1,1024]") as server:

        def make_while_one_dies(engine: Any, statement: Any) -> int | None:
            if statement.name not in {"int_movements", "int_pass_exact_reference", "exceptions"}:
                return make(engine, statement)
            oldest = engines.wait_for_workers(server, 2)[0]
            killing = threading.Timer(0.3, os.kill, (oldest, signal.SIGKILL))
            killing.start()
            try:
                return make(engine, statement)
            finally:
                killing.join()
                killed.append(oldest)

        monkeypatch.setattr(spark_engine.SparkEngine, "make", make_while_one_dies)
        made = other.reconcile(MON)
        assert len(set(killed)) == 3
        assert not set(killed) & set(engines.wait_for_workers(server, 2))
    assert digests(made) == digests(expected)
