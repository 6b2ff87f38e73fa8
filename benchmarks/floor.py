"""The floor: one bare DuckDB process that does the least anybody could do with the same files; nothing of Zentra.

`python -m benchmarks.floor join SETTLEMENT LEDGER CALLBACKS OUT` reads the three files, joins the sides once on the
reference and writes one Parquet file. `python -m benchmarks.floor read KIND FILE` only reads one file into memory.
"""

import sys
from typing import Final

import duckdb

_LINES: Final = """
    line_id varchar, line_type varchar, provider_reference varchar, merchant_reference varchar, gross_minor bigint,
    fee_minor bigint, net_minor bigint, currency varchar, settled_at timestamp, batch_id varchar"""
_ENTRIES: Final = """
    entry_id varchar, transaction_id varchar, movement_type varchar, account varchar, direction varchar,
    amount_minor bigint, currency varchar, posted_at timestamp, provider varchar, provider_reference varchar,
    intent_id varchar"""
_EVENTS: Final = """
    provider_event_id varchar, event_type varchar, provider_reference varchar, merchant_reference varchar,
    amount_minor bigint, currency varchar, status varchar, occurred_at timestamp, received_at timestamp"""
_JOIN: Final = """
    copy (
        select *
        from {settlement} as lines
        full join (select * from {ledger} where account = 'settlement_account') as entries using (provider_reference)
        full join {callbacks} as events using (provider_reference)
    ) to '{out}' (format parquet)
"""


def scan(kind: str, path: str) -> str:
    """A DuckDB table function over one file with its columns declared; strict CSV, as Zentra reads it."""
    if kind == "callbacks":
        return f"read_json('{path}', format = 'newline_delimited', columns = {_declared(_EVENTS)})"
    columns = _declared(_LINES if kind == "settlement" else _ENTRIES)
    return f"read_csv('{path}', header = true, auto_detect = false, delim = ',', quote = '\"', columns = {columns})"


def _declared(columns: str) -> str:
    pairs = (definition.split() for definition in columns.split(","))
    return "{" + ", ".join(f"'{name}': '{data_type}'" for name, data_type in pairs) + "}"


def main(arguments: list[str]) -> None:
    """Do what the arguments say with two threads, as many as a run uses."""
    with duckdb.connect(config={"threads": 2}) as connection:
        if arguments[0] == "read":
            _, kind, path = arguments
            connection.execute(f"create table found as select * from {scan(kind, path)}").fetchall()
        else:
            _, settlement, ledger, callbacks, out = arguments
            files = {"settlement": settlement, "ledger": ledger, "callbacks": callbacks}
            connection.execute(
                _JOIN.format(out=out, **{kind: scan(kind, path) for kind, path in files.items()})
            ).fetchall()


if __name__ == "__main__":
    main(sys.argv[1:])
