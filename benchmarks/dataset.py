"""One ledger window of N movements as provider and ledger send it, one in a hundred broken; same N, same bytes.

Does not belong here: measuring, or an answer key (`zentra simulate` makes labelled data).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb

WINDOW: Final = "2026-04-27"
SETTLEMENT_FILE: Final = "set_2026_04_27"
# Of one window; the numbers of another's begin behind them.
_MOST_MOVEMENTS: Final = 10_000_000
AS_OF: Final = "2026-04-28T12:00:00Z"

# What is wrong with a movement follows from its number modulo 1000:
#   0 never posted · 1 not settled yet · 2 settled 100 off · 3 no callback · 4 settled twice · 5 callback comes twice
#   6 settled in another currency · 7 callback after the review cut-off · 8 reference known only to our own side
#   9 callback failed · 10 two payloads under one event id
_MOVEMENTS: Final = """
    create table movements as
    select
        i,
        i % 1000 as fault,
        'pay_' || left(md5('reference ' || i), 20) as reference,
        printf('tx_%010d', i) as transaction_id,
        case when i % 50 = 13 then 'refund' else 'payment' end as line_type,
        case i % 10 when 0 then 'JPY' when 1 then 'EUR' when 2 then 'EUR' else 'USD' end as currency,
        (case when i % 50 = 13 then -1 else 1 end) * (100 + (i * 7919) % 900000) as amount,
        (i * 104729) % 86400 as posted_second,
        (i * 15485863) % 86400 as settled_second
    from range($first, $first + $movements) as numbers (i)
"""
_SETTLEMENT: Final = """
    select
        printf('ln_%010d', 2 * i + twin) as line_id,
        line_type,
        case when fault = 8 then 'ext_' || i else reference end as provider_reference,
        case when fault = 8 then transaction_id else 'ord_' || i end as merchant_reference,
        gross as gross_minor,
        fee as fee_minor,
        gross - fee as net_minor,
        case when fault = 6 then 'GBP' else currency end as currency,
        strftime(getvariable('day') + to_seconds(settled_second), '%Y-%m-%dT%H:%M:%SZ') as settled_at,
        'batch_' || i % 40 as batch_id
    from (
        select *, case when fault = 2 then amount + 100 else amount end as gross, 30 + abs(amount) * 29 // 1000 as fee
        from movements
        where fault <> 1
    )
    cross join range(2) as twins (twin)
    where twin = 0 or fault = 4
    order by settled_second, line_id
"""
_LEDGER: Final = """
    select
        transaction_id || side as entry_id,
        transaction_id,
        line_type as movement_type,
        case when side = '.1' then 'reserved' else 'settlement_account' end as account,
        case when (side = '.1') = (amount > 0) then 'debit' else 'credit' end as direction,
        abs(amount) as amount_minor,
        currency,
        strftime(getvariable('day') + to_seconds(posted_second), '%Y-%m-%dT%H:%M:%SZ') as posted_at,
        'rail' as provider,
        reference as provider_reference,
        'int_' || i as intent_id
    from movements
    cross join (values ('.1'), ('.2')) as sides (side)
    where fault <> 0
    order by posted_second, transaction_id, side
"""
_CALLBACKS: Final = """
    select
        printf('evt_%010d', i) as provider_event_id,
        line_type || '.' || case when fault = 9 then 'failed' else 'succeeded' end as event_type,
        reference as provider_reference,
        'ord_' || i as merchant_reference,
        amount + case when fault = 10 then copy else 0 end as amount_minor,
        currency,
        case when fault = 9 then 'failed' else 'succeeded' end as status,
        strftime(getvariable('day') + to_seconds(posted_second), '%Y-%m-%dT%H:%M:%SZ') as occurred_at,
        strftime(
            getvariable('day') + to_seconds(posted_second + 2 + copy + case when fault = 7 then 100000 else 0 end),
            '%Y-%m-%dT%H:%M:%SZ'
        ) as received_at
    from movements
    cross join range(2) as copies (copy)
    where fault <> 3 and (copy = 0 or fault in (5, 10))
    order by received_at, provider_event_id
"""
# Equal amounts on one day without any reference: nothing but amount and date is there to match by.
_EQUAL_SETTLEMENT: Final = """
    select
        printf('ln_%010d', i) as line_id, 'payment' as line_type, '' as provider_reference, '' as merchant_reference,
        1000 as gross_minor, 30 as fee_minor, 970 as net_minor, 'USD' as currency,
        '2026-04-27T12:00:00Z' as settled_at, '' as batch_id
    from range($movements) as numbers (i)
"""
_EQUAL_LEDGER: Final = """
    select
        printf('tx_%010d%s', i, side) as entry_id, printf('tx_%010d', i) as transaction_id, 'payment' as movement_type,
        case when side = '.1' then 'reserved' else 'settlement_account' end as account,
        case when side = '.1' then 'debit' else 'credit' end as direction,
        1000 as amount_minor, 'USD' as currency, '2026-04-27T09:00:00Z' as posted_at, 'rail' as provider,
        '' as provider_reference, '' as intent_id
    from range($movements) as numbers (i)
    cross join (values ('.1'), ('.2')) as sides (side)
    order by i, side
"""


@dataclass(frozen=True)
class Dataset:
    """The input files of one window: movements made, and where each kind of file lies."""

    movements: int
    settlement: Path
    ledger: Path
    callbacks: Path

    @property
    def kinds(self) -> dict[str, Path]:
        return {"settlement": self.settlement, "ledger": self.ledger, "callbacks": self.callbacks}


def dataset(folder: Path, movements: int) -> Dataset:
    """Where the three files of a window lie in `folder`, made or not."""
    return Dataset(movements, folder / f"{SETTLEMENT_FILE}.csv", folder / "ledger.csv", folder / "callbacks.jsonl")


def generate(folder: Path, movements: int, windows_later: int = 0) -> Dataset:
    """Write the three files of a window of so many movements into an existing `folder`; 0 gives files without rows.

    `windows_later` than WINDOW the movements are others, of another day.
    """
    found = dataset(folder, movements)
    with duckdb.connect() as connection:
        connection.execute(f"set variable day = timestamp '{WINDOW}' + to_days({windows_later})").fetchall()
        numbers = {"first": windows_later * _MOST_MOVEMENTS, "movements": movements}
        connection.execute(_MOVEMENTS, numbers).fetchall()
        for query, path, form in (
            (_SETTLEMENT, found.settlement, "csv, header"),
            (_LEDGER, found.ledger, "csv, header"),
            (_CALLBACKS, found.callbacks, "json"),
        ):
            connection.execute(f"copy ({query}) to '{path}' (format {form})").fetchall()
    return found


def generate_equal(folder: Path, movements: int) -> Dataset:
    """Like `generate`, with lines and movements of one amount that share no reference, and no callbacks."""
    found = dataset(folder, movements)
    with duckdb.connect() as connection:
        for query, path in ((_EQUAL_SETTLEMENT, found.settlement), (_EQUAL_LEDGER, found.ledger)):
            connection.execute(f"copy ({query}) to '{path}' (format csv, header)", {"movements": movements}).fetchall()
    found.callbacks.touch()
    return found
