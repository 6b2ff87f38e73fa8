-- Grain: an item earlier passes left over and what `internal_reference` made of it:
-- the line's merchant_reference is the movement's transaction_id or intent_id.

with scope as (

    select * from {{ source('run', 'scope') }}

),

previous as (

    select * from {{ ref('int_pass_normalized_reference') }}

),

earlier_items as (

    select * from {{ ref('int_earlier_matched_items') }}

),

reversed as (

    select * from {{ ref('int_reversed_matches') }}

),

items as (

    select
        previous.*,
        nullif(previous.merchant_reference, '') as line_name
    from previous
    where previous.disposition in ('free', 'ambiguous')

),

line_names as (

    select distinct
        line_name,
        line_name as movement_name
    from items
    where item_type = 'settlement_line' and line_name is not null

),

matched_before as (

    select earlier_items.*
    from earlier_items
    left join reversed on earlier_items.match_id = reversed.match_id
    where earlier_items.rule = 'internal_reference' and reversed.match_id is null

),

{{ movement_sets() }}

{{ match_pass('internal_reference', 'keyed', 'paired_before') }}

select * from outcomes
