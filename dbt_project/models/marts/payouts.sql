-- Grain: a payout that the run's settlement file speaks of: what the provider says it paid out of a batch in a currency, where to,
-- and when the bank should have it. A later run that speaks of it again publishes it as it is then.

with scope as (

    select * from {{ source('run', 'scope') }}

),

payouts as (

    select * from {{ ref('int_payouts') }}

),

final as (

    select
        scope.run_id,
        {{ payout_id('payouts.batch_id', 'payouts.currency') }} as payout_id,
        payouts.batch_id,
        payouts.currency,
        payouts.amount_minor,
        payouts.payout_account,
        payouts.paid_on,
        payouts.expected_from,
        payouts.expected_to,
        payouts.trace_id,
        payouts.statement_text,
        payouts.status,
        payouts.line_id,
        case
            when payouts.retried_batch_id <> payouts.batch_id
                then {{ payout_id('payouts.retried_batch_id', 'payouts.currency') }}
        end as retries_payout_id
    from payouts
    cross join scope

)

select * from final
