-- Grain: an item that is no half of a pair and what all passes together made of it: matched, duplicate, ambiguous or free.
-- `currency` and `amount_minor` are the item's own; in its match it counts for `leg_minor` of `leg_currency`.

with manual as (

    select * from {{ ref('int_pass_manual') }}

),

exact_reference as (

    select * from {{ ref('int_pass_exact_reference') }}

),

normalized_reference as (

    select * from {{ ref('int_pass_normalized_reference') }}

),

internal_reference as (

    select * from {{ ref('int_pass_internal_reference') }}

),

callback_bridge as (

    select * from {{ ref('int_pass_callback_bridge') }}

),

batch_total as (

    select * from {{ ref('int_pass_batch_total') }}

),

left_over as (

    select * from {{ ref('int_pass_left_over') }}
    where disposition = 'matched'

),

amount_date as (

    select * from {{ ref('int_pass_amount_date') }}

),

by_reference as (

    select * from exact_reference
    where disposition in ('matched', 'duplicate')
    union all
    select * from normalized_reference
    where disposition in ('matched', 'duplicate')
    union all
    select * from internal_reference
    where disposition in ('matched', 'duplicate')
    union all
    select * from callback_bridge
    where disposition in ('matched', 'duplicate')

),

settled as (

    select
        {{ item_columns('by_reference') }},
        by_reference.disposition,
        by_reference.match_id,
        by_reference.rule,
        by_reference.line_class as match_class,
        by_reference.compared_currency as leg_currency,
        by_reference.compared_minor as leg_minor,
        false as is_batch_line
    from by_reference

    union all

    select
        {{ item_columns('manual') }},
        manual.disposition,
        manual.match_id,
        'manual' as rule,
        'manual' as match_class,
        manual.compared_currency as leg_currency,
        manual.compared_minor as leg_minor,
        false as is_batch_line
    from manual

    union all

    select
        {{ item_columns('batch_total') }},
        batch_total.disposition,
        batch_total.match_id,
        'batch_total' as rule,
        batch_total.match_class,
        batch_total.currency as leg_currency,
        batch_total.leg_minor,
        batch_total.is_batch_line
    from batch_total
    where batch_total.disposition = 'matched'

    union all

    select
        {{ item_columns('left_over') }},
        left_over.disposition,
        left_over.match_id,
        left_over.rule,
        left_over.line_class as match_class,
        left_over.compared_currency as leg_currency,
        left_over.compared_minor as leg_minor,
        false as is_batch_line
    from left_over

),

final as (

    select * from settled

    union all

    select
        {{ item_columns('amount_date') }},
        case
            when amount_date.disposition = 'matched' then 'matched'
            when amount_date.was_ambiguous then 'ambiguous'
            else 'free'
        end as disposition,
        case when amount_date.disposition = 'matched' then amount_date.match_id end as match_id,
        case when amount_date.disposition = 'matched' then 'amount_date' end as rule,
        amount_date.line_class as match_class,
        amount_date.compared_currency as leg_currency,
        amount_date.compared_minor as leg_minor,
        false as is_batch_line
    from amount_date

)

select * from final
