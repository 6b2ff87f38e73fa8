-- Grain: a match of the run, with the ids of its legs by side.
with legs as (
    select distinct
        match_id,
        leg_type,
        leg_id
    from match_legs
),

ids as (
    select
        match_id,
        list(leg_id order by leg_id) filter (where leg_type = 'settlement_line') as settlement_lines,
        list(leg_id order by leg_id) filter (where leg_type = 'ledger_transaction') as ledger_transactions,
        list(leg_id order by leg_id) filter (where leg_type = 'callback') as callbacks
    from legs
    group by match_id
)

select
    matches.* exclude (matches.run_sequence),
    coalesce(ids.settlement_lines, []) as settlement_lines,
    coalesce(ids.ledger_transactions, []) as ledger_transactions,
    coalesce(ids.callbacks, []) as callbacks
from matches
left join ids on matches.match_id = ids.match_id
