-- Grain: a payout of the batch of one of these lines, and a bank line that credited it. Parameters: $1 providers, $2 lines, $3 the format
-- of instants.
with stories as (
    select distinct
        provider,
        payout_id,
        bank_line_id,
        currency
    from cash_story
    where list_contains($1, provider) and list_contains($2, line_id)
),

-- When the provider says it sent a payout, where a line of its own says so.
sent as (
    select
        provider,
        line_id,
        max(settled_at) as settled_at
    from settlement_lines
    where line_type = 'payout'
    group by provider, line_id
),

lines as (
    select
        bank_line_id,
        currency,
        booked_on,
        amount_minor,
        text,
        file_id,
        file_sha256,
        row_number
    from bank_lines
    where status = 'booked'
    qualify row_number() over (
        partition by bank_line_id, currency order by file_sequence desc, row_number desc
    ) = 1
)

select
    stories.provider,
    payouts.payout_id,
    payouts.batch_id,
    payouts.currency,
    payouts.amount_minor,
    payouts.status,
    payouts.payout_account,
    payouts.bank_run_id,
    strftime(coalesce(sent.settled_at, cast(payouts.paid_on as timestamp)), $3) as paid_at,
    stories.bank_line_id,
    strftime(cast(lines.booked_on as timestamp), $3) as booked_at,
    lines.amount_minor as booked_minor,
    lines.currency as booked_currency,
    lines.text,
    lines.file_id,
    lines.file_sha256,
    lines.row_number
from stories
inner join payouts
    on
        stories.provider = payouts.provider
        and stories.payout_id = payouts.payout_id
        and stories.currency = payouts.currency
left join sent on payouts.provider = sent.provider and payouts.line_id = sent.line_id
left join lines on stories.bank_line_id = lines.bank_line_id
order by stories.provider, payouts.payout_id, payouts.currency, stories.bank_line_id
