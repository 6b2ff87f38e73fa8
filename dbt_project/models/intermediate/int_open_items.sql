-- Grain: a line (of a type that needs a movement) or movement unmatched when the run ends, with its age; written off or
-- carried forward. What is written off met no pass, and is named by the reason that it was written off for. A settled line of
-- nothing that nothing answers is accounted for (int_zero_lines) and not open.
-- A decision writes off what was approved. Where the ledger has added to a movement since, or a restated file to a line, and this
-- run is made again, the change is open in it (contract §10.15); the reason is not about the change.
-- Age counts business days after the item's own window, up to and including the run's.

with scope as (

    select * from {{ source('run', 'scope') }}

),

profile as (

    select * from {{ source('run', 'profile') }}

),

window_days as (

    select * from {{ source('run', 'window_days') }}

),

windows as (

    select * from {{ source('run', 'windows') }}

),

match_line_types as (

    select * from {{ source('run', 'match_line_types') }}

),

exception_types as (

    select * from {{ ref('exception_types') }}

),

outcomes as (

    select * from {{ ref('int_unpaired_outcomes') }}

),

lines as (

    select * from {{ ref('int_settlement_lines') }}

),

items as (

    select * from {{ ref('int_unpaired_items') }}
    where is_decided

),

written_off as (

    select * from {{ source('run', 'write_offs') }}

),

zero_lines as (

    select * from {{ ref('int_zero_lines') }}

),

unmatched as (

    select
        outcomes.item_type,
        outcomes.item_id,
        outcomes.currency,
        outcomes.line_class,
        outcomes.amount_minor,
        outcomes.compared_currency,
        outcomes.compared_minor,
        outcomes.provider_reference,
        outcomes.normalized_reference,
        outcomes.merchant_reference,
        outcomes.intent_id,
        outcomes.sort_at,
        outcomes.opened_window,
        outcomes.released_from_match_id,
        outcomes.is_fee,
        outcomes.disposition
    from outcomes
    left join zero_lines
        on
            outcomes.item_type = 'settlement_line'
            and outcomes.item_id = zero_lines.line_id
            and outcomes.currency = zero_lines.currency
    where outcomes.disposition <> 'matched' and zero_lines.line_id is null

    union all

    select
        items.item_type,
        items.item_id,
        items.currency,
        items.line_class,
        items.amount_minor,
        items.compared_currency,
        items.compared_minor,
        items.provider_reference,
        items.normalized_reference,
        items.merchant_reference,
        items.intent_id,
        items.sort_at,
        items.opened_window,
        items.released_from_match_id,
        items.is_fee,
        coalesce(exception_types.item_disposition, 'free') as disposition
    from items
    inner join written_off
        on
            items.item_type = written_off.item_type
            and items.item_id = written_off.item_id
            and items.currency = written_off.currency
    left join exception_types on written_off.exception_type = exception_types.exception_type

    union all

    -- A failed or returned line takes part in no match and stays open until somebody decides.
    select
        'settlement_line' as item_type,
        lines.line_id as item_id,
        lines.currency,
        lines.line_type as line_class,
        {{ line_amount('lines', 'profile') }} as amount_minor,
        lines.currency as compared_currency,
        {{ line_amount('lines', 'profile') }} as compared_minor,
        lines.provider_reference,
        lines.provider_reference as normalized_reference,
        lines.merchant_reference,
        cast(null as varchar) as intent_id,
        lines.settled_at as sort_at,
        lines.opened_window,
        cast(null as varchar) as released_from_match_id,
        false as is_fee,
        'failed' as disposition
    from lines
    inner join match_line_types on lines.line_type = match_line_types.line_type
    cross join profile
    where not lines.is_seen_before and lines.settlement_status <> 'settled'

),

dated as (

    select
        unmatched.*,
        coalesce(
            unmatched.opened_window,
            least(coalesce(window_days.window_date, scope.ledger_window), scope.ledger_window)
        ) as item_window
    from unmatched
    cross join scope
    left join window_days
        on
            cast(unmatched.sort_at as date) = window_days.utc_day
            and unmatched.sort_at >= window_days.starts_at
            and unmatched.sort_at < window_days.ends_at

),

aged as (

    select
        dated.*,
        scope_window.business_day_number - item_windows.business_day_number as age_business_days
    from dated
    cross join scope
    inner join windows as scope_window on scope.ledger_window = scope_window.window_date
    inner join windows as item_windows on dated.item_window = item_windows.window_date

),

final as (

    select
        aged.* exclude (amount_minor),
        coalesce(written_off.amount_minor, aged.amount_minor) as amount_minor,
        aged.amount_minor as item_minor,
        case
            when written_off.item_id is null then aged.amount_minor
            else aged.amount_minor - coalesce(written_off.amount_minor, aged.amount_minor)
        end as open_minor,
        aged.age_business_days > profile.settlement_lag_days as is_overdue,
        case
            when aged.age_business_days <= 0 then '0'
            when aged.age_business_days <= 2 then '1-2'
            when aged.age_business_days <= 5 then '3-5'
            when aged.age_business_days <= 10 then '6-10'
            when aged.age_business_days <= 30 then '11-30'
            else 'over 30'
        end as aging_bucket,
        written_off.item_id is not null as is_written_off,
        written_off.exception_id,
        written_off.decision_id
    from aged
    cross join profile
    left join written_off
        on
            aged.item_type = written_off.item_type
            and aged.item_id = written_off.item_id
            and aged.currency = written_off.currency

)

select * from final
