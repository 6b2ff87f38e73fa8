-- What a scenario may expect of matches. Grain: a row of the table.
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
        string_agg(leg_id, ' ' order by leg_id) filter (where leg_type = 'settlement_line') as settlement_lines,
        string_agg(leg_id, ' ' order by leg_id) filter (where leg_type = 'ledger_transaction') as ledger_transactions,
        string_agg(leg_id, ' ' order by leg_id) filter (where leg_type = 'callback') as callbacks
    from legs
    group by match_id
)

select
    runs.ledger_window,
    matches.rule,
    matches.cardinality,
    matches.method,
    matches.status,
    matches.currency,
    matches.settlement_minor,
    matches.ledger_minor,
    matches.difference_minor,
    ids.settlement_lines,
    ids.ledger_transactions,
    ids.callbacks
from matches
inner join runs on matches.run_id = runs.run_id
left join ids on matches.match_id = ids.match_id
