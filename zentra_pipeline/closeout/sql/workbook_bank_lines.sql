-- Grain: a booked line of the account since the day of the run before, or one that the run matched or carries, and what became of it.
-- Parameter: $1 the run.
with this as (
    select
        provider,
        ledger_window,
        substr(provider, 6) as account_id
    from runs
    where run_id = $1
),

before as (
    select max(runs.ledger_window) as ledger_window
    from runs
    inner join this on runs.provider = this.provider and runs.ledger_window < this.ledger_window
    where runs.revision > 0
),

legs as (
    select
        legs.leg_id,
        max(matches.rule) as rule,
        max(matches.match_id) as match_id,
        max(matches.first_transaction_id) as payout_id
    from match_legs as legs
    inner join matches on legs.match_id = matches.match_id and legs.run_id = matches.run_id and matches.status = 'confirmed'
    where legs.run_id = $1 and legs.leg_type = 'settlement_line'
    group by legs.leg_id
),

carried as (
    select
        item_id,
        max(item_state) as item_state
    from open_items
    where run_id = $1 and item_type = 'settlement_line'
    group by item_id
),

lines as (
    select lines.*
    from bank_lines as lines
    inner join this on lines.account_id = this.account_id and lines.booked_on <= this.ledger_window
    where lines.status = 'booked'
    qualify
        row_number() over (
            partition by lines.bank_line_id, lines.currency order by lines.file_sequence desc, lines.row_number desc
        ) = 1
)

select
    lines.booked_on,
    lines.value_on,
    lines.bank_line_id,
    lines.text,
    lines.currency,
    lines.amount_minor as amount,
    case
        when legs.leg_id is not null then 'matched'
        when carried.item_id is not null then carried.item_state
        when coalesce(lines.parent_line_id, '') <> '' then 'part of its line'
        else 'other business'
    end as what_became_of_it,
    legs.rule,
    legs.payout_id,
    lines.bank_reference,
    lines.end_to_end_id,
    lines.statement_id,
    legs.match_id
from lines
cross join before
left join legs on lines.bank_line_id = legs.leg_id
left join carried on lines.bank_line_id = carried.item_id
where
    legs.leg_id is not null or carried.item_id is not null or before.ledger_window is null
    or lines.booked_on > before.ledger_window
order by lines.booked_on asc, lines.bank_line_id asc, lines.currency asc
