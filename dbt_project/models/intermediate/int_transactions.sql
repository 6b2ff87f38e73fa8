-- Grain: a ledger transaction in one currency, over the provider's entries posted before the window's end.
-- The clearing columns are null where no entry is on a clearing account: then it is no movement.
-- Fees, payouts and adjustments have a class where the profile's match_line_types names it; fees also where they are posted separately.
-- An entry is known by its transaction and entry_id. The last delivery of an entry is its content, also where it says that the
-- entry is another provider's: then it is none of this one's. Equal deliveries that no earlier run has met are counted in
-- `redeliveries`.

with scope as (

    select * from {{ source('run', 'scope') }}

),

clearing_accounts as (

    select * from {{ source('run', 'clearing_accounts') }}

),

profile as (

    select * from {{ source('run', 'profile') }}

),

of_provider as {{ read_where_used() }} (

    select
        *,
        true as is_own
    from {{ ref('stg_ledger_entries') }}
    where provider = (select scope.provider from scope) and posted_at < (select scope.window_ends_at from scope)

),

of_others as (

    select
        entries.*,
        false as is_own
    from {{ ref('stg_ledger_entries') }} as entries
    where
        entries.provider <> (select scope.provider from scope)
        and entries.posted_at < (select scope.window_ends_at from scope)
        and exists (
            select 1
            from of_provider
            where entries.transaction_id = of_provider.transaction_id and entries.entry_id = of_provider.entry_id
        )

),

visible as {{ read_where_used() }} (

    select * from of_provider
    union all
    select * from of_others

),

repeated as (

    select
        transaction_id,
        entry_id
    from visible
    group by transaction_id, entry_id
    having count(*) > 1

),

ordered_repeats as (

    select
        visible.*,
        row_number() over (
            partition by visible.transaction_id, visible.entry_id
            order by visible.file_sequence desc nulls last, visible.row_number desc nulls last
        ) as age_rank,
        row_number() over (
            partition by
                visible.transaction_id,
                visible.entry_id,
                visible.movement_type,
                visible.account,
                visible.direction,
                visible.amount_minor,
                visible.currency,
                visible.posted_at,
                visible.provider,
                coalesce(visible.provider_reference, ''),
                coalesce(visible.intent_id, '')
            order by visible.file_sequence desc nulls last, visible.row_number desc nulls last
        ) as copy_rank,
        row_number() over (
            partition by
                visible.transaction_id,
                visible.entry_id,
                visible.movement_type,
                visible.account,
                visible.direction,
                visible.amount_minor,
                visible.currency,
                visible.posted_at,
                visible.provider,
                coalesce(visible.provider_reference, ''),
                coalesce(visible.intent_id, ''),
                visible.is_seen_before
            order by visible.file_sequence desc nulls last, visible.row_number desc nulls last
        ) as earlier_copy_rank
    from visible
    inner join repeated
        on visible.transaction_id = repeated.transaction_id and visible.entry_id = repeated.entry_id

),

redeliveries as (

    select
        transaction_id,
        entry_id,
        cast(
            sum(case when copy_rank > 1 then 1 else 0 end)
            - sum(case when is_seen_before and earlier_copy_rank > 1 then 1 else 0 end) as bigint
        ) as redeliveries
    from ordered_repeats
    where is_own
    group by transaction_id, entry_id

),

latest as (

    select
        visible.*,
        cast(0 as bigint) as redeliveries
    from visible
    left join repeated
        on visible.transaction_id = repeated.transaction_id and visible.entry_id = repeated.entry_id
    where repeated.entry_id is null

    union all

    select
        ordered_repeats.* exclude (age_rank, copy_rank, earlier_copy_rank),
        redeliveries.redeliveries
    from ordered_repeats
    inner join redeliveries
        on
            ordered_repeats.transaction_id = redeliveries.transaction_id
            and ordered_repeats.entry_id = redeliveries.entry_id
    where ordered_repeats.age_rank = 1 and ordered_repeats.is_own

),

on_clearing as {{ read_where_used() }} (

    select
        latest.*,
        clearing_accounts.account is not null as is_clearing
    from latest
    left join clearing_accounts on latest.account = clearing_accounts.account

),

totals as (

    select
        transaction_id,
        currency,
        cast(sum(case when direction = 'debit' then amount_minor else 0 end) as bigint) as debit_minor,
        cast(sum(case when direction = 'credit' then amount_minor else 0 end) as bigint) as credit_minor,
        cast(sum(redeliveries) as bigint) as redeliveries,
        cast(sum(case when is_clearing then signed_minor * redeliveries else 0 end) as bigint) as redelivered_minor,
        cast(sum(case when is_clearing then signed_minor end) as bigint) as clearing_minor,
        min(case when is_clearing then entry_id end) as first_clearing_entry_id,
        {{ first_or_null_by('posted_at', 'entry_id') }} filter (where is_clearing) as clearing_posted_at,
        min(posted_at) as first_posted_at,
        {{ first_or_null_by('movement_type', 'entry_id') }} filter (where is_clearing) as movement_type,
        {{ first_or_null_by('provider_reference', 'entry_id') }} filter (where is_clearing) as provider_reference,
        {{ first_or_null_by('intent_id', 'entry_id') }} filter (where is_clearing) as intent_id
    from on_clearing
    group by transaction_id, currency

),

final as (

    select
        totals.transaction_id,
        totals.currency,
        totals.debit_minor,
        totals.credit_minor,
        totals.redeliveries,
        totals.redelivered_minor,
        totals.clearing_minor,
        totals.first_clearing_entry_id,
        coalesce(totals.clearing_posted_at, totals.first_posted_at) as posted_at,
        totals.movement_type,
        case
            when totals.movement_type in ('transfer', 'payment', 'card') then 'payment'
            when totals.movement_type = 'refund' then 'refund'
            when totals.movement_type = 'chargeback' and totals.clearing_minor > 0 then 'chargeback_reversal'
            when totals.movement_type = 'chargeback' then 'chargeback'
            when
                totals.movement_type in ('fee', 'payout', 'adjustment')
                and {{ is_one_of('totals.movement_type', 'types.line_type', source('run', 'match_line_types'), 'types') }}
                then totals.movement_type
            when totals.movement_type = 'fee' and profile.fee_posting = 'separate' then 'fee'
        end as line_class,
        totals.provider_reference,
        totals.intent_id
    from totals
    cross join profile

)

select * from final
