"""What the compiled SQL of every model and data test may say, read from DuckDB's own parse tree: whole numbers, total
orders, nothing that another run could answer differently. Layout is sqlfluff's.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import duckdb
import pytest

from tests.support.built_project import built_bank, built_project, columns_built, project_nodes
from zentra_pipeline import vocabulary
from zentra_pipeline.settings import DBT_PROJECT

pytestmark = pytest.mark.xdist_group("built_project")

# Every function the project uses. None of them knows the time, draws lots, yields a float or depends on the order of
# rows; arg_min and arg_max are given keys no two rows share.
FUNCTIONS = frozenset(
    {
        *("||", "+", "-", "*", "//", "%", "abs", "least", "greatest", "nullif"),
        *("left", "length", "lpad", "regexp_replace", "reverse", "rtrim", "concat_ws", "strftime", "to_json", "sha256"),
        *("sum", "min", "max", "count", "count_star", "arg_min", "arg_min_null", "arg_max", "bool_and", "string_agg"),
        *("lower", "trim", "replace", "strpos", "substr", "regexp_matches", "regexp_extract"),
        *("row_number", "dense_rank", "lag", "first_value"),
        *("regexp_extract_all", "unnest", "generate_subscripts", "range"),  # lists, in their own order
        *("<<", ">>"),
    }
)
# Words that DuckDB answers without parentheses and that are no column.
CLOCKS = frozenset({"current_timestamp", "current_date", "current_time", "localtimestamp", "localtime", "current_user"})
CAST_TYPES = frozenset({"varchar", "bigint", "boolean", "date", "timestamp", "decimal", "hugeint"})
COLUMN_TYPES = frozenset({"varchar", "bigint", "boolean", "date", "timestamp"})
SINGLE_ROWS = frozenset({"scope", "profile", "any_account", "edition"})
# Relations of a few constant rows, each of which is meant to meet every row.
CONSTANT_ROWS = frozenset({("bank_ledger_search", "rules")})

# What an order may end in: a key that no two rows of the partition share.
ENDINGS = (
    ("item_id",),
    ("item_id", "currency"),
    ("line_id",),
    ("provider_event_id",),
    ("exception_id",),
    ("file_sequence", "row_number"),
    ("content",),  # what a line says, one row each
    ("run_sequence",),
    ("explanation",),
    ("match_id",),
    ("movement_date",),  # days of movements, one row a day
    ("account",),  # one posting of each account
    ("name",),  # payouts of one currency
    ("transaction_id", "currency"),  # movements, whole
    ("first_place", "second_place", "third_place", "fourth_place"),  # a set is its places
    ("statement_id", "bank"),  # statements of one type and currency
    ("file_sequence", "statement_id"),  # the details of one line that a statement has, in one delivery
    ("booked_on", "amount_minor"),  # dense_rank: what is equal has one rank
    ("place",),  # statements in their order
    ("preference", "superseded_by"),  # all that a row says of its exception: rows that share it are the same
)


def models() -> list[str]:
    return sorted(path.stem for path in (DBT_PROJECT / "models").rglob("*.sql"))


def compiled() -> dict[str, str]:
    """The SQL of every model and data test, by name, as some run executes it."""
    return {**built_bank().compiled, **built_project().compiled}


@cache
def tree(name: str) -> Any:
    with duckdb.connect() as connection:
        (text,) = connection.execute("select json_serialize_sql(?)", [compiled()[name]]).fetchall()[0]
    parsed = json.loads(text)
    assert not parsed["error"], f"{name}: {parsed['error_message']}"
    return parsed["statements"]


def found(node: Any, **values: str) -> Iterator[dict[str, Any]]:
    """Every part of a parse tree that has these values."""
    if isinstance(node, dict):
        if all(node.get(key) == value for key, value in values.items()):
            yield node
        for child in node.values():
            yield from found(child, **values)
    elif isinstance(node, list):
        for child in node:
            yield from found(child, **values)


def everywhere(**values: str) -> list[tuple[str, dict[str, Any]]]:
    return [(name, part) for name in compiled() for part in found(tree(name), **values)]


def key_name(order: dict[str, Any]) -> str:
    return str(order["expression"].get("column_names", ["an expression"])[-1])


def test_every_model_and_data_test_is_read() -> None:
    tests = project_nodes("test").items()
    data_tests = {name for name, node in tests if not node["original_file_path"].startswith("seeds/")}
    assert {*models(), *data_tests} == compiled().keys()


def test_only_functions_whose_answer_the_arguments_decide() -> None:
    used = [
        (name, part["function_name"]) for kind in ("FUNCTION", "WINDOW") for name, part in everywhere(**{"class": kind})
    ]
    assert len(used) > 500
    assert [(name, function) for name, function in used if function not in FUNCTIONS] == []


def test_the_clock_is_not_read() -> None:
    columns = [(name, part["column_names"][-1].lower()) for name, part in everywhere(**{"class": "COLUMN_REF"})]
    assert [(name, column) for name, column in columns if column in CLOCKS] == []


def test_no_cast_to_a_float() -> None:
    casts = [(name, part["type_expr"]["type_name"].lower()) for name, part in everywhere(**{"class": "CAST"})]
    assert len(casts) > 300
    assert [(name, data_type) for name, data_type in casts if data_type not in CAST_TYPES] == []


def test_no_literal_with_a_fraction() -> None:
    constants = [(name, part["literal"]) for name, part in everywhere(**{"class": "CONSTANT"}) if "literal" in part]
    assert [item for item in constants if item[1]["kind"] == "NUMERIC"] == []


def columns() -> list[tuple[str, str, str]]:
    """Model, name and type of every column."""
    nodes = project_nodes("model")
    return [(model, name, kind) for model in models() for name, kind in columns_built(nodes[model]).items()]


def test_columns_are_text_whole_numbers_truths_and_times() -> None:
    """No DOUBLE, no DECIMAL, and no HUGEINT: every sum is cast back."""
    assert [column for column in columns() if column[2] not in COLUMN_TYPES] == []


def test_a_column_is_what_its_name_says() -> None:
    rules = {  # the first that fits
        r"(is|has)_.*": "boolean",
        rf"matched_({'|'.join(vocabulary.values('rule'))})": "bigint",  # how many matches a rule made
        r".*_minor": "bigint",
        r".*_at": "timestamp",
        r".*_(date|window)": "date",
        r".*_(id|sha256|digest|type|reference)": "varchar",
    }
    wrong = [
        (model, name, data_type)
        for model, name, data_type in columns()
        if next((expected for form, expected in rules.items() if re.fullmatch(form, name)), data_type) != data_type
    ]
    assert wrong == []


def test_every_window_has_an_order_and_says_where_nulls_go() -> None:
    windows = everywhere(**{"class": "WINDOW"})
    assert len(windows) > 20
    orders = [(name, order) for name, window in windows for order in window["orders"]]
    assert {window["function_name"] for _, window in windows if not window["orders"]} == {"count"}
    vague = [(name, key_name(order)) for name, order in orders if order["null_order"] != "NULLS LAST"]
    assert vague == []


def test_every_window_ends_in_a_key_that_no_two_rows_share() -> None:
    ends = [
        (name, tuple(key_name(order) for order in window["orders"]))
        for name, window in everywhere(**{"class": "WINDOW"})
        if window["orders"]
    ]
    assert [(name, keys) for name, keys in ends if not any(keys[-len(ending) :] == ending for ending in ENDINGS)] == []


def test_joined_text_is_in_a_stated_order() -> None:
    joined = everywhere(**{"class": "FUNCTION", "function_name": "string_agg"})
    assert len(joined) > 3
    for name, part in joined:
        orders = part["order_bys"]["orders"]
        assert orders, f"{name}: text is joined in no order"
        assert all(order["type"] in ("ASCENDING", "DESCENDING") for order in orders), (
            f"{name}: an order has no direction"
        )


def test_only_single_rows_are_cross_joined() -> None:
    crossed = [(name, part["right"].get("table_name")) for name, part in everywhere(ref_type="CROSS")]
    assert len(crossed) > 20
    assert [each for each in crossed if each[1] not in SINGLE_ROWS and each not in CONSTANT_ROWS] == []


def test_a_join_of_a_range_has_an_equality_too() -> None:
    """Candidates meet by hashed equality; only one-row and calendar relations may be joined by a range alone."""
    calendar = {"scope", "windows", "due_windows", "profile", "any_currency"}
    calendar |= {"terms", "text_groups"}  # of a bank account: a row a provider, and payouts near a line in time
    joins = [(name, part) for name, part in everywhere(ref_type="REGULAR") if part.get("condition")]
    assert len(joins) > 100
    for name, join in joins:
        table = join["right"].get("alias") or join["right"].get("table_name")
        has_equality = any(found(join["condition"], type="COMPARE_EQUAL"))
        assert has_equality or table in calendar, f"{name}: {table} is joined without an equality"


def test_division_is_written_once() -> None:
    """The models divide through the macro whole_division, which names its rounding."""
    divided = re.compile(r"(?<![/*])/(?![/*])|//")
    for path in sorted((DBT_PROJECT / "models").rglob("*.sql")):
        code = re.sub(r"--.*|'[^']*'", "", path.read_text(encoding="utf-8"))
        assert not divided.search(code), f"{path.name} divides by itself"
