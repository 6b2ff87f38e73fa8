-- Grain: an item and what the pass `exact_reference` made of it: same provider_reference.
-- An amount counts as already paired when an earlier run paired it under the same reference, by this pass or by decision.

with scope as (

    select * from {{ source('run', 'scope') }}

),

decided as (

    select
        item_type,
        item_id,
        currency
    from {{ source('run', 'write_offs') }}

    union all

    select
        item_type,
        item_id,
        currency
    from {{ ref('int_pass_manual') }}

),

-- What operators wrote off or matched in this run takes part in no pass.
items as (

    select items.*
    from {{ ref('int_items') }} as items
    left join decided
        on
            items.item_type = decided.item_type
            and items.item_id = decided.item_id
            and items.currency = decided.currency
    where decided.item_id is null

),

matched_before as (

    select * from {{ ref('int_earlier_matched_items') }}

),

reversed as (

    select * from {{ ref('int_reversed_matches') }}

),

keyed as (

    select
        items.*,
        nullif(items.provider_reference, '') as group_key,
        false as was_ambiguous
    from items

),

paired_before as (

    select
        matched_before.item_type,
        matched_before.provider_reference as group_key,
        matched_before.compared_currency as currency,
        matched_before.own_class as line_class,
        matched_before.amount_minor
    from matched_before
    left join reversed on matched_before.match_id = reversed.match_id
    where
        matched_before.rule in ('exact_reference', 'manual')
        and reversed.match_id is null
        and matched_before.provider_reference <> ''

),

{{ match_pass('exact_reference', 'keyed', 'paired_before') }}

select * from outcomes
