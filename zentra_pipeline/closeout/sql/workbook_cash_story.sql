-- Grain: a settled line that the run sees or whose payout it credits, and a bank line that credited it. Parameter: $1 the run.
with lines as (
    select
        provider,
        line_id
    from three_way
    where run_id = $1 and line_id is not null
),

bank_lines_here as (
    select legs.leg_id
    from match_legs as legs
    inner join runs on legs.run_id = runs.run_id and runs.provider like 'bank:%'
    where legs.run_id = $1 and legs.leg_type = 'settlement_line'
)

select
    stories.provider_reference,
    stories.transaction_id,
    stories.line_id,
    stories.batch_id,
    stories.currency,
    stories.settled_minor as settled,
    stories.payout_id,
    stories.payout_minor as payout,
    stories.payout_status,
    stories.bank_line_id,
    stories.credited_on
from cash_story as stories
left join lines on stories.provider = lines.provider and stories.line_id = lines.line_id
left join bank_lines_here on stories.bank_line_id = bank_lines_here.leg_id
where lines.line_id is not null or bank_lines_here.leg_id is not null
order by stories.provider_reference asc, stories.line_id asc, stories.bank_line_id asc
