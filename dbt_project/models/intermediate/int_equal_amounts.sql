-- Grain: a line that amount_date left ambiguous: the open movements of its amount within the settlement lag, the days on which they
-- are posted (the first five in words), and the lines that any of them may belong to.
-- Counted per amount and day, never paired, as the pass does.

with profile as (

    select * from {{ source('run', 'profile') }}

),

window_days as (

    select * from {{ source('run', 'window_days') }}

),

open_items as (

    select * from {{ ref('int_open_items') }}
    where disposition in ('free', 'ambiguous') and not is_written_off and compared_minor <> 0 and line_class is not null

),

dated as (

    select
        open_items.item_type,
        open_items.item_id,
        open_items.compared_currency as currency,
        open_items.currency as own_currency,
        open_items.line_class,
        open_items.compared_minor as amount_minor,
        open_items.disposition,
        window_days.window_date,
        window_days.business_day_number
    from open_items
    cross join profile
    inner join window_days
        on
            cast(open_items.sort_at as date) = window_days.utc_day
            and open_items.sort_at >= window_days.starts_at
            and open_items.sort_at < window_days.ends_at
    where profile.amount_date_rule <> 'off'

),

days as (

    select
        item_type,
        currency,
        line_class,
        amount_minor,
        window_date,
        business_day_number,
        cast(count(*) as bigint) as items
    from dated
    group by item_type, currency, line_class, amount_minor, window_date, business_day_number

),

near as (

    select
        lines.currency,
        lines.line_class,
        lines.amount_minor,
        lines.window_date as line_date,
        lines.items as lines,
        movements.window_date as movement_date,
        movements.items as movements
    from days as lines
    cross join profile
    inner join days as movements
        on
            lines.item_type = 'settlement_line'
            and movements.item_type = 'ledger_transaction'
            and lines.currency = movements.currency
            and lines.line_class = movements.line_class
            and lines.amount_minor = movements.amount_minor
            and abs(lines.business_day_number - movements.business_day_number) <= profile.settlement_lag_days

),

movements_of_a_day as (

    select
        currency,
        line_class,
        amount_minor,
        line_date,
        cast(sum(movements) as bigint) as movements,
        cast(count(*) as bigint) as movement_days,
        {{ ordered_text_agg('cast(movement_date as varchar)', ', ', 'movement_date asc nulls last') }} filter (
            where day_rank <= 5
        ) as days_in_words
    from (
        select
            *,
            row_number() over (
                partition by currency, line_class, amount_minor, line_date
                order by movement_date asc nulls last
            ) as day_rank
        from near
    ) as ranked
    group by currency, line_class, amount_minor, line_date

),

rivals as (

    select
        currency,
        line_class,
        amount_minor,
        line_date,
        cast(sum(lines) as bigint) as lines
    from (
        select distinct
            near.currency,
            near.line_class,
            near.amount_minor,
            near.line_date,
            rival.line_date as rival_date,
            rival.lines
        from near
        inner join near as rival
            on
                near.currency = rival.currency
                and near.line_class = rival.line_class
                and near.amount_minor = rival.amount_minor
                and near.movement_date = rival.movement_date
    ) as distinct_rivals
    group by currency, line_class, amount_minor, line_date

),

final as (

    select
        dated.item_id as line_id,
        dated.own_currency as currency,
        movements_of_a_day.movements,
        rivals.lines,
        movements_of_a_day.days_in_words
        || case
            when movements_of_a_day.movement_days > 5
                then ' and ' || cast(movements_of_a_day.movement_days - 5 as varchar) || ' more days'
            else ''
        end as days_in_words
    from dated
    inner join movements_of_a_day
        on
            dated.currency = movements_of_a_day.currency
            and dated.line_class = movements_of_a_day.line_class
            and dated.amount_minor = movements_of_a_day.amount_minor
            and dated.window_date = movements_of_a_day.line_date
    inner join rivals
        on
            dated.currency = rivals.currency
            and dated.line_class = rivals.line_class
            and dated.amount_minor = rivals.amount_minor
            and dated.window_date = rivals.line_date
    where dated.item_type = 'settlement_line' and dated.disposition = 'ambiguous'

)

select * from final
