"""What contract §4 promises is what readers find: tables, columns, comments, in the catalog and in the query."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.closeout.closed_world import close
from tests.scenarios.rows import MON, TUE, WED, call, post, settle
from tests.scenarios.world import World
from zentra_pipeline import sql_text
from zentra_pipeline.published import declared_tables, lake, operational_tables
from zentra_pipeline.settings import DBT_PROJECT

pytestmark = pytest.mark.usefixtures("catalog_as_shipped")

CONTRACT = DBT_PROJECT.parent / "docs" / "contract.md"

# contract §4, word for word where it names columns.
PROMISED = {
    "runs": "run_id revision tenant_id provider settlement_file ledger_window owner status as_of inputs_digest "
    "closeout_status",
    "matches": "match_id run_id rule cardinality method status currency settlement_minor ledger_minor difference_minor",
    "match_legs": "match_id run_id leg_type leg_id amount_minor",
    "three_way": "run_id provider_reference transaction_id currency has_callback has_settlement has_ledger "
    "callback_minor settlement_minor ledger_minor settlement_vs_ledger_minor callback_vs_ledger_minor "
    "settlement_vs_callback_minor",
    "exceptions": "exception_id run_id exception_type severity subject_type subject_id provider_reference currency "
    "amount_minor difference_minor owner lane status due_at opened_at resolved_at resolved_by resolution "
    "superseded_by explanation candidates",
    "open_items": "run_id item_type item_id provider_reference currency amount_minor opened_window age_business_days "
    "aging_bucket",
    "quarantine": "source file_id row_number reason raw",
    "conservation": "run_id side currency rows_in matched in_transit excepted accounted duplicates quarantined "
    "rows_unexplained amount_in_minor amount_unexplained_minor",
    "rollforward": "run_id currency opening_minor posted_minor settled_minor written_off_minor closing_minor "
    "difference_minor",
    "closeouts": "closeout_id run_id revision status sealed_at prepared_by approved_by seal_digest previous_seal "
    "amends reason",
    "period_closeouts": "closeout_id period revision status sealed_at prepared_by approved_by seal_digest "
    "previous_seal amends reason evidence_root windows",
    "journal_proposals": "entry_id provider ledger_window run_id kind account direction amount_minor currency "
    "exception_id decision_id decided_by reason rests_on",
    "closeout_evidence": "closeout_id provider_reference settlement_file ledger_entry exception_owner closeout_status "
    "run_id actor scope policy intent_id signature evidence_at evidence_status missing",
    "ledger_search": "exception_id run_id rule searched_key windows_from windows_to movements_examined result",
    "files": "file_id kind provider settlement_file rows rows_quarantined unknown_columns received_at sha256 "
    "superseded_by",
    "open_items_now": "",
    "run_metrics": "",
    "currencies": "currency exponent name",
    "decisions": "",
    "events": "",
    "callbacks": "",
    "settlement_lines": "",
    "ledger_entries": "",
    "payouts": "run_id payout_id batch_id currency amount_minor payout_account paid_on expected_from expected_to "
    "trace_id statement_text status line_id retries_payout_id",
    "payout_states": "run_id payout_provider payout_id currency paid_out_minor returned_minor credited_minor fee_minor "
    "credited_on match_id status reported_run_id reported_revision",
    "bank_matches": "match_id run_id rule cardinality method status currency bank_minor payout_minor difference_minor "
    "fee_minor reference bank_line_id payout_id",
    "bank_match_legs": "match_id run_id leg_type leg_id amount_minor",
    "bank_open_items": "run_id item_type item_id reference currency amount_minor opened_window age_business_days "
    "aging_bucket",
    "cash_in_transit": "run_id payout_provider currency opening_minor paid_out_minor credited_minor fee_minor "
    "returned_minor written_off_minor short_minor closing_minor difference_minor",
    "account_balances": "run_id currency statements from_day to_day opening_minor lines_minor gap_minor mismatch_minor "
    "closing_minor difference_minor",
    "cash_story": "provider_reference transaction_id line_id batch_id payout_id bank_line_id currency settled_minor "
    "payout_minor payout_status credited_on",
    "bank_statements": "bank statement_id account_id currency statement_type sequence from_day to_day opening_minor "
    "closing_minor entries content_digest",
    "bank_lines": "bank bank_line_id statement_id account_id booked_on value_on amount_minor currency status "
    "bank_reference end_to_end_id text parent_line_id instructed_minor instructed_currency charges_minor is_reversal "
    "return_reason",
}
# Whose it is, where its rows have it: a currency is nobody's, a staged row and a file have no single window.
WHOSE = {
    "currencies": "",
    "period_closeouts": "tenant_id",
    "quarantine": "tenant_id provider",
    "callbacks": "tenant_id provider file_id row_number",
    "settlement_lines": "tenant_id provider file_id row_number",
    "ledger_entries": "tenant_id provider file_id row_number",
    **dict.fromkeys(("bank_matches", "bank_match_legs", "bank_open_items"), "tenant_id account_id ledger_window"),
    "cash_story": "tenant_id provider",
    "bank_statements": "tenant_id bank file_id row_number",
    "bank_lines": "tenant_id bank file_id row_number",
    "files": "tenant_id provider",
}
BUCKETS = ("matched", "in_transit", "excepted", "accounted", "duplicates", "quarantined")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("published"))
    world.add(settle("L1", "R1", 500), settle("L2", "", -30, type="fee"))
    world.add(post("T1", "R1", 500), call("E1", "R1", 500), post("T2", "R2", 700))
    world.make(MON)
    assert close(world).status == "sealed"
    world.add(settle("L3", "nobody", 900, on=TUE), settle("L4", "R2", 700, on=TUE))
    world.add(settle("L9", "R9", 5, currency="XX9", on=TUE))
    world.make(TUE)
    return world


@pytest.fixture(scope="module")
def catalog(world: World) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(f"attach '{world.paths.catalog}' as theirs (read_only)")
        yield connection


def promised(table: str) -> set[str]:
    buckets = [f"{bucket}_minor" for bucket in BUCKETS] if table == "conservation" else []
    return {*PROMISED[table].split(), *WHOSE.get(table, "tenant_id provider ledger_window").split(), *buckets}


def test_the_list_above_is_the_contract_s() -> None:
    section = CONTRACT.read_text(encoding="utf-8").split("\n## 4. ")[1].split("\n## 5. ")[0]
    found = {}
    for line in section.splitlines():
        cells = re.split(r"(?<!\\)\|", line)
        if len(cells) >= 4 and cells[1].strip().startswith("`"):
            columns = re.sub(r"\([^)]*\)|`[^`]*…[^`]*`", "", cells[3]).split(" with one ")[0]
            listed = re.match(r"\s*`([\w, ]+)`", columns)
            for name in re.findall(r"`(\w+)`", cells[1]):
                found[name] = listed[1].split(", ") if listed else []
    assert found.keys() == PROMISED.keys()
    for name, columns in found.items():
        missing = set(columns) - promised(name) - set(PROMISED[name].split())
        assert not missing, f"{name} lacks {missing}"


@pytest.mark.parametrize("table", PROMISED)
def test_the_catalog_has_every_promised_column_under_its_name(catalog: duckdb.DuckDBPyConnection, table: str) -> None:
    sql = "select column_name from duckdb_columns() where schema_name = 'main' and table_name = ?"
    found = {name for (name,) in catalog.execute(sql, [table]).fetchall()}
    assert promised(table) - found == set()
    catalog.execute(f"from theirs.main.{table}").fetchall()


def test_every_table_and_column_has_its_description_as_a_comment(catalog: duckdb.DuckDBPyConnection) -> None:
    said = "where database_name = 'theirs' and schema_name = 'main'"
    tables = dict(catalog.execute(f"select view_name, comment from duckdb_views() {said}").fetchall())
    assert tables == {name: table.description for name, table in declared_tables.tables().items()}
    columns = catalog.execute(f"select table_name, column_name, comment from duckdb_columns() {said}").fetchall()
    declared = declared_tables.tables().values()
    assert {row[:2]: row[2] for row in columns} == {
        (table.name, name): column.description for table in declared for name, column in table.columns.items()
    }
    assert [row for row in columns if not row[2].endswith(".")] == []


def test_a_query_and_the_catalog_give_the_same_columns_types_and_rows(
    world: World, catalog: duckdb.DuckDBPyConnection
) -> None:
    for name, table in declared_tables.tables().items():
        answer = lake.query(world.paths, f"select * from {name}")
        types = [data_type.lower() for data_type in answer.types]
        assert dict(zip(answer.columns, types, strict=True)) == {
            column: declared.data_type for column, declared in table.columns.items()
        }, name
        assert answer.rows == catalog.execute(f"from theirs.main.{name}").fetchall(), name


def test_operational_tables_are_declared_as_they_are_made() -> None:
    helpers = {"account_map", "exception_states", "single_events", "unread_deliveries"}
    for name, definitions in operational_tables.COLUMNS.items():
        if name not in helpers:
            declared = declared_tables.tables()[name].columns
            assert sql_text.column_types(definitions) == {
                column: each.data_type for column, each in declared.items()
            }, name


def row_of(world: World, sql: str) -> dict[str, Any]:
    (row,) = world.query(sql)
    return row


def test_metrics_count_what_was_new_and_what_was_carried_apart(world: World) -> None:
    monday = row_of(world, f"select * from run_metrics where ledger_window = '{MON}'")
    assert (monday["lines"], monday["lines_to_match"], monday["lines_matched"]) == (2, 1, 1)
    assert (monday["movements"], monday["movements_matched"], monday["movements_minor"]) == (2, 1, 1200)
    rates = ("line_match_rate_bps", "movement_match_rate_bps", "movement_amount_match_rate_bps")
    assert [monday[rate] for rate in rates] == [10_000, 5_000, 4_166]
    assert (monday["matched_exact_reference"], monday["matched_manual"], monday["fees_minor"]) == (1, 0, 30)
    tuesday = row_of(world, f"select * from run_metrics where ledger_window = '{TUE}'")
    assert (tuesday["movements_carried"], tuesday["movements_carried_matched"]) == (1, 1)
    assert [tuesday[rate] for rate in rates] == [5_000, None, None]
    opened = {name: tuesday[f"exceptions_{name}"] for name in ("critical", "high", "medium", "low")}
    counted = world.query(
        f"select severity, count(*) as n from exceptions where ledger_window = '{TUE}' group by all order by all"
    )
    assert {name: n for name, n in opened.items() if n} == {row["severity"]: row["n"] for row in counted}


def test_what_is_open_now_is_what_the_newest_run_left(world: World) -> None:
    assert [row["item_id"] for row in world.query("select item_id from open_items order by all")] == ["L3", "T2"]
    assert [row["item_id"] for row in world.query("select item_id from open_items_now")] == ["L3"]


def test_what_is_open_now_is_what_the_newest_run_left_that_could_see_it(tmp_path: Path) -> None:
    """Tuesday, run after Wednesday, settles what both had open, and cannot see what opened on Wednesday."""
    world = World(tmp_path, {"expects_callbacks": False})
    world.add(post("T1", "R1", 500, on=MON), post("T2", "R2", 70, on=WED), settle("L1", "R1", 500, on=TUE))
    world.add(post("T3", "R3", 30, on=TUE))
    for window in (MON, WED, TUE):
        world.make(window)
    wednesday = world.query(f"select item_id from open_items where ledger_window = '{WED}' order by all")
    assert [row["item_id"] for row in wednesday] == ["T1", "T2", "T3"]
    now = world.query("select item_id, amount_minor from open_items_now order by all")
    assert [(row["item_id"], row["amount_minor"]) for row in now] == [("T2", 70), ("T3", 30)]


def test_quarantined_rows_are_counted_without_currency_and_amount(world: World) -> None:
    row = row_of(world, "select * from conservation where currency = ''")
    counted = ("side", "rows_in", "quarantined", "amount_in_minor", "rows_unexplained")
    assert [row[name] for name in counted] == ["settlement", 1, 1, 0, 0]


def test_an_evidence_row_shows_no_value_that_it_lists_as_missing(world: World) -> None:
    column = {"intent": "intent_id", "policy_result": "policy_result"}
    rows = world.query("select * from closeout_evidence")
    assert rows
    for row in rows:
        missing = (row["missing"] or "").split(", ")
        assert {row[column.get(name, name)] for name in missing if name} <= {None}
        assert row["evidence_at"] is None or row["policy"] is not None


def test_currencies_say_how_many_digits_their_minor_unit_has(world: World) -> None:
    rows = world.query("select currency, exponent from currencies where currency in ('JPY', 'KWD', 'USD') order by 1")
    assert [tuple(row.values()) for row in rows] == [("JPY", 0), ("KWD", 3), ("USD", 2)]


def test_columns_are_declared_once_and_described(tmp_path: Path) -> None:
    for table in declared_tables.tables().values():
        assert table.description.endswith("."), table.name
        assert all(column.description.endswith(".") for column in table.columns.values()), table.name
