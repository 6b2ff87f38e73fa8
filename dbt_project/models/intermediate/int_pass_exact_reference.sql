-- Grain: an item that is no half of a pair and what the pass `exact_reference` made of it: same provider_reference.
-- An amount counts as already paired when an earlier run paired it under the same reference, by this pass or by decision.

with scope as (

    select * from {{ source('run', 'scope') }}

),

items as (

    select * exclude (is_decided)
    from {{ ref('int_unpaired_items') }}
    where not is_decided

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
