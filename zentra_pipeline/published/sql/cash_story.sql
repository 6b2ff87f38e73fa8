-- Grain: a settled line and a bank line that credited the payout of its batch; without one while the cash has not come.
with lines as (
    select
        provider,
        line_id,
        batch_id,
        net_minor,
        currency
    from settlement_lines
    where line_type <> 'payout' and coalesce(batch_id, '') <> ''
    qualify row_number() over (partition by provider, line_id order by file_sequence desc, row_number desc) = 1
),

movements as (
    select distinct
        provider,
        line_id,
        transaction_id
    from three_way
    where line_id is not null
    qualify row_number() over (
        partition by provider, line_id
        order by case when transaction_id is null then 1 else 0 end asc, ledger_window desc, transaction_id asc
    ) = 1
),

references_of_lines as (
    select
        provider,
        line_id,
        max(provider_reference) as provider_reference
    from settlement_lines
    group by provider, line_id
),

bank_lines_of_payouts as (
    select
        states.payout_provider,
        states.payout_id,
        states.currency,
        legs.leg_id as bank_line_id
    from payout_states as states
    inner join bank_matches as made on states.match_id = made.match_id and made.status = 'confirmed'
    inner join bank_match_legs as legs
        on made.match_id = legs.match_id and made.run_id = legs.run_id and legs.leg_type = 'bank_line'
)

select distinct
    payouts.tenant_id,
    lines.provider,
    references_of_lines.provider_reference,
    movements.transaction_id,
    lines.line_id,
    lines.batch_id,
    payouts.payout_id,
    bank_lines_of_payouts.bank_line_id,
    payouts.currency,
    lines.net_minor as settled_minor,
    payouts.amount_minor as payout_minor,
    payouts.status as payout_status,
    payouts.credited_on
from payouts
inner join lines
    on payouts.provider = lines.provider and payouts.batch_id = lines.batch_id and payouts.currency = lines.currency
left join references_of_lines
    on lines.provider = references_of_lines.provider and lines.line_id = references_of_lines.line_id
left join movements on lines.provider = movements.provider and lines.line_id = movements.line_id
left join bank_lines_of_payouts
    on
        payouts.provider = bank_lines_of_payouts.payout_provider
        and payouts.payout_id = bank_lines_of_payouts.payout_id
        and payouts.currency = bank_lines_of_payouts.currency
order by lines.provider, lines.line_id, bank_lines_of_payouts.bank_line_id
