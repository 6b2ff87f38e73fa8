-- Grain: an item and what all passes together made of it: matched, duplicate, ambiguous or free.
{{ config(materialized='view') }}

with exact_reference as (

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

settled as (

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

left_over as (

    select * exclude (disposition) from callback_bridge
    where disposition in ('free', 'ambiguous')

),

final as (

    select
        {{ item_columns('settled') }},
        settled.disposition,
        settled.match_id,
        settled.rule
    from settled

    union all

    select
        {{ item_columns('left_over') }},
        case when left_over.was_ambiguous then 'ambiguous' else 'free' end as disposition,
        cast(null as varchar) as match_id,
        cast(null as varchar) as rule
    from left_over

)

select * from final
