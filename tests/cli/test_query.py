"""`zentra query` answers with exact values, and anything else with 2 and DuckDB's own words."""

from datetime import date

import pytest

from tests.cli.conftest import Publish, Zentra

MATCH = {
    "match_id": "m1",
    "rule": "exact_reference",
    "cardinality": "one_to_one",
    "method": "exact",
    "status": "confirmed",
    "currency": "USD",
    "settlement_minor": 9_007_199_254_740_993,
    "ledger_minor": 9_007_199_254_740_993,
    "difference_minor": 0,
}
QUERY = ("query", "--tenant", "acme")


@pytest.fixture
def matched(publish: Publish) -> str:
    return publish(date(2026, 4, 26), matches=[MATCH, MATCH | {"match_id": "m2", "settlement_minor": -5}])


def test_json_is_an_array_of_objects_with_exact_values(acme: Zentra, matched: str) -> None:
    sql = (
        "SELECT match_id, settlement_minor, sum(settlement_minor) OVER () AS total, NULL AS no FROM matches ORDER BY 1"
    )
    done = acme(*QUERY, sql, "--format", "json")
    assert done.code == 0
    total = 9_007_199_254_740_988
    assert done.json == [
        {"match_id": "m1", "settlement_minor": 9_007_199_254_740_993, "total": total, "no": None},
        {"match_id": "m2", "settlement_minor": -5, "total": total, "no": None},
    ]


def test_runs_show_their_instants_and_days_in_iso_form(acme: Zentra, matched: str) -> None:
    done = acme(*QUERY, "SELECT run_id, ledger_window, as_of, tenant_id FROM runs", "--format", "json")
    assert done.json == [
        {"run_id": matched, "ledger_window": "2026-04-26", "as_of": "2026-04-27T06:00:00Z", "tenant_id": "acme"}
    ]


def test_csv_keeps_negative_amounts_and_disarms_text(acme: Zentra, matched: str) -> None:
    sql = "SELECT match_id, settlement_minor, '=cmd()' AS remark, -1.50 AS rate FROM matches ORDER BY 1 DESC LIMIT 1"
    assert (
        acme(*QUERY, sql, "--format", "csv").out == "match_id,settlement_minor,remark,rate\r\nm2,-5,'=cmd(),-1.50\r\n"
    )


def test_a_table_says_how_many_rows_there_are(acme: Zentra, matched: str) -> None:
    done = acme(*QUERY, "SELECT match_id, settlement_minor AS amount, true AS seen FROM matches ORDER BY 1")
    assert [line.split() for line in done.out.splitlines()][0::2] == [
        ["match_id", "amount", "seen"],
        ["m1", "9007199254740993", "true"],
    ]
    assert done.err == "2 rows\n"


def test_a_long_table_stops_and_says_so(acme: Zentra) -> None:
    done = acme(*QUERY, "SELECT range FROM range(1500)")
    assert len(done.out.splitlines()) == 1002
    assert done.err == "The first 1,000 rows of more; --format csv or json prints them all.\n"


def test_tables_exist_before_the_first_run(acme: Zentra) -> None:
    tables = ("runs", "matches", "exceptions", "open_items", "conservation", "quarantine", "ledger_entries")
    counts = ", ".join(f"(SELECT count(*) FROM {table}) AS {table}" for table in tables)
    assert acme(*QUERY, f"SELECT {counts}", "--format", "json").json == [dict.fromkeys(tables, 0)]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT nonsense FROM runs", "nonsense"),
        ("SELEC 1", "syntax error"),
        ("", "the query is empty"),
        (" ", "the query is empty"),
        ("SELECT '\udcff'", "not valid UTF-8"),
        ("DROP TABLE runs", "only queries"),
        ("SELECT 1; SELECT 2", "one query at a time"),
        ("SELECT * FROM read_text('/etc/passwd')", "function read_text is not allowed"),
        ("COPY runs TO 'runs.parquet'", "only queries"),
    ],
)
def test_what_is_no_readable_query_ends_with_2(acme: Zentra, sql: str, message: str) -> None:
    done = acme(*QUERY, sql)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_query_that_cannot_be_read_prints_nothing_in_any_form(acme: Zentra, form: str) -> None:
    done = acme(*QUERY, "SELECT nonsense FROM runs", "--format", form)
    assert (done.code, done.out) == (2, "")
    assert "nonsense" in done.err


def test_json_is_one_object_also_of_no_rows(acme: Zentra, matched: str) -> None:
    sql = "SELECT match_id, settlement_minor FROM matches WHERE status = 'confirmed' AND settlement_minor < {}"
    assert acme(*QUERY, sql.format(0), "--json").json == {
        "columns": ["match_id", "settlement_minor"],
        "rows": [{"match_id": "m2", "settlement_minor": -5}],
    }
    assert acme(*QUERY, sql.format(-99), "--json").json == {"columns": ["match_id", "settlement_minor"], "rows": []}


def test_columns_that_json_would_lose_are_refused(acme: Zentra) -> None:
    done = acme(*QUERY, "SELECT 1 AS a, 2 AS a", "--format", "json")
    assert (done.code, done.out) == (2, "")
    assert acme(*QUERY, "SELECT 1 AS a, 2 AS a", "--format", "csv").out == "a,a\r\n1,2\r\n"
