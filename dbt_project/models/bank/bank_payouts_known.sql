-- Grain: a payout into the account that is paid out by the run's day, as the newest run of its provider reports it.
-- `name` is its id, with the provider before it where two providers have the same. `group_key` is what its provider pays in one
-- credit: itself, or by `payout_grouping` all of a day, or all that are due by the same day.

with scope as (

    select * from {{ source('run', 'scope') }}

),

terms as (

    select * from {{ source('bank', 'terms') }}

),

tolerances as (

    select * from {{ source('bank', 'fee_tolerances') }}

),

reported as (

    select
        payouts.*,
        row_number() over (
            partition by payouts.provider, payouts.payout_id, payouts.currency
            order by payouts.run_sequence desc nulls last
        ) as age_rank
    from {{ source('bank', 'payouts') }} as payouts
    inner join scope on 'bank:' || payouts.payout_account = scope.provider
    where payouts.paid_on <= scope.ledger_window

),

newest as (

    select * exclude (age_rank, run_sequence)
    from reported
    where age_rank = 1

),

shared_ids as (

    select payout_id
    from newest
    group by payout_id
    having count(distinct provider) > 1

),

retried as (

    select distinct
        provider,
        retries_payout_id
    from newest
    where retries_payout_id <> ''

),

final as (

    select
        newest.* exclude (trace_id, statement_text, retries_payout_id),
        case when shared_ids.payout_id is null then newest.payout_id else newest.provider || ':' || newest.payout_id end as name,
        coalesce(newest.trace_id, '') as trace_id,
        coalesce(newest.statement_text, '') as statement_text,
        coalesce(newest.retries_payout_id, '') as retries_payout_id,
        newest.status in ('failed', 'returned') as is_returned,
        retried.retries_payout_id is not null as is_retried,
        coalesce(terms.bank_lag_days, 3) as bank_lag_days,
        coalesce(tolerances.tolerance_minor, any_currency.tolerance_minor, cast(0 as bigint)) as bank_fee_tolerance_minor,
        case terms.payout_grouping
            when 'same_day' then newest.provider || '|' || cast(newest.paid_on as varchar)
            when 'window' then newest.provider || '|' || cast(newest.expected_to as varchar)
            else newest.provider || '|' || newest.payout_id
        end as group_key
    from newest
    left join terms on newest.provider = terms.provider
    left join tolerances on newest.provider = tolerances.provider and newest.currency = tolerances.currency
    left join tolerances as any_currency on newest.provider = any_currency.provider and any_currency.currency = '*'
    left join shared_ids on newest.payout_id = shared_ids.payout_id
    left join retried on newest.provider = retried.provider and newest.payout_id = retried.retries_payout_id

)

select * from final
