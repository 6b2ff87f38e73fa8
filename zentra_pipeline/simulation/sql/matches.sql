-- Grain: a match with its legs, in the window of its run.
with legs as (
    select
        match_id,
        string_agg(distinct leg_id, ' ' order by leg_id)
        filter (leg_type = 'settlement_line') as settlement_lines,
        string_agg(distinct leg_id, ' ' order by leg_id)
        filter (leg_type = 'ledger_transaction') as ledger_transactions,
        string_agg(distinct leg_id, ' ' order by leg_id)
        filter (leg_type = 'callback') as callbacks
    from match_legs
    group by match_id
)

select
    runs.ledger_window,
    matches.match_id,
    matches.rule,
    matches.cardinality,
    matches.method,
    matches.status,
    matches.currency,
    matches.settlement_minor,
    matches.ledger_minor,
    matches.difference_minor,
    coalesce(legs.settlement_lines, '') as settlement_lines,
    coalesce(legs.ledger_transactions, '') as ledger_transactions,
    coalesce(legs.callbacks, '') as callbacks
from matches
inner join runs on matches.run_id = runs.run_id
left join legs on matches.match_id = legs.match_id
