"""What must hold of the published tables after any windows, whatever was ingested: the bookkeeper's own checks.

Does not belong here: what a given input comes to.
"""

from typing import Final

from tests.scenarios.world import World

# What is confirmed, item by item; what is open in the newest run of each provider; exceptions that say why.
_WITH: Final = """
with legs as (
    select runs.provider, match_legs.leg_type as item_type, match_legs.leg_id as item_id,
        coalesce(match_legs.item_currency, matches.currency) as currency, match_id
    from match_legs inner join matches using (match_id) inner join runs on matches.run_id = runs.run_id
    where matches.status = 'confirmed' and match_legs.leg_type <> 'callback'
    group by all
), newest as (
    select provider, max(ledger_window) as ledger_window from runs group by provider
), items as (
    select runs.provider, open_items.* from open_items
    inner join runs using (run_id)
    inner join newest on runs.provider = newest.provider and runs.ledger_window = newest.ledger_window
), reported as (
    select runs.provider, exceptions.* from exceptions inner join runs using (run_id)
), reasons as (
    select *, subject_type as item_type, subject_id as item_id from reported where exception_type in (
        'failed_settlement', 'duplicate_settlement_line', 'currency_mismatch', 'ambiguous_match',
        'unmatched_provider_row', 'duplicate_ledger_posting', 'unmatched_ledger_entry'
    )
)
"""
_CHECKS: Final = {
    "a row or an amount is in no bucket": """
        select run_id, side, currency from conservation
        where rows_unexplained <> 0 or amount_unexplained_minor <> 0
            or rows_in <> matched + in_transit + excepted + accounted + duplicates + quarantined
    """,
    "a roll-forward has a difference": "select run_id, currency from rollforward where difference_minor <> 0",
    "a run does not open with what the one before closed with": """
        select provider, ledger_window, currency, opening_minor, closed from (
            select runs.provider, runs.ledger_window, currency, opening_minor,
                lag(closing_minor) over (partition by runs.provider, currency order by runs.ledger_window) as closed
            from rollforward inner join runs using (run_id)
        ) where closed is not null and opening_minor <> closed
    """,
    "the open movements are not what the roll-forward closes with": """
        select run_id, currency from rollforward left join (
            select run_id, currency, sum(amount_minor) as open_minor from open_items
            where item_type = 'ledger_transaction' group by all
        ) using (run_id, currency)
        where closing_minor <> coalesce(open_minor, 0)
    """,
    "an item is in two confirmed matches": """
        select provider, item_type, item_id, currency from legs group by all having count(distinct match_id) > 1
    """,
    "an item is open and matched": """
        select item_id from items inner join legs using (provider, item_type, item_id, currency)
    """,
    "an item has two open reasons": """
        select provider, item_type, item_id, currency from reasons where status <> 'resolved'
        group by all having count(*) > 1
    """,
    "an open exception says that what is matched is not": """
        select exception_id, item_id from reasons inner join legs using (provider, item_type, item_id, currency)
        where status <> 'resolved'
    """,
    "an open exception shows another amount than the item has": """
        select exception_id, item_id from reasons inner join items using (provider, item_type, item_id, currency)
        where reasons.status <> 'resolved' and reasons.amount_minor <> items.amount_minor
    """,
    "an open difference is not that of its match": """
        select exception_id, subject_id from reported left join matches using (match_id)
        where exception_type = 'amount_mismatch' and subject_type = 'settlement_line' and reported.status <> 'resolved'
            and (matches.status is distinct from 'confirmed' or matches.difference_minor <> reported.difference_minor)
    """,
    "a match with a difference beyond tolerance has no exception of its own": """
        select match_id from matches left join reported using (match_id)
        where matches.status = 'confirmed' and matches.difference_minor <> 0 and matches.method <> 'tolerance'
        group by all having count(exception_id) = 0
    """,
    "an item is called matched late and is open under no other exception": """
        select reasons.exception_id, item_id from reasons
        inner join items using (provider, item_type, item_id, currency)
        where reasons.resolution = 'matched_late' and not exists (
            select 1 from reasons as newer
            where newer.item_id = reasons.item_id and newer.provider = reasons.provider and newer.status <> 'resolved'
        ) and items.item_state <> 'in_transit'
    """,
}


def faults(world: World) -> list[str]:
    """Every breach in words; none where the tables hold together."""
    checks = (
        f"select '{fault}' as fault, cast(breach as varchar) as breach from ({sql}) as breach"
        for fault, sql in _CHECKS.items()
    )
    return [f"{row['fault']}: {row['breach']}" for row in world.query(_WITH + " union all ".join(checks))]
