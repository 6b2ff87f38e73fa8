-- Grain: an item earlier passes left over and what `callback_bridge` made of it:
-- a believed callback carries the line's provider_reference and the movement's transaction_id or intent_id.

with scope as (

    select * from {{ source('run', 'scope') }}

),

previous as (

    select * from {{ ref('int_pass_internal_reference') }}

),

earlier_items as (

    select * from {{ ref('int_earlier_matched_items') }}

),

reversed as (

    select * from {{ ref('int_reversed_matches') }}

),

events as (

    select * from {{ ref('int_callback_events') }}

),

items as (

    select
        previous.*,
        nullif(previous.provider_reference, '') as line_name
    from previous
    where previous.disposition in ('free', 'ambiguous')

),

named_lines as (

    select distinct line_name
    from items
    where item_type = 'settlement_line' and line_name is not null

),

line_names as (

    select distinct
        events.provider_reference as line_name,
        events.merchant_reference as movement_name
    from events
    inner join named_lines on events.provider_reference = named_lines.line_name
    where events.has_one_payload and events.merchant_reference <> ''

),

matched_before as (

    select earlier_items.*
    from earlier_items
    left join reversed on earlier_items.match_id = reversed.match_id
    where earlier_items.rule = 'callback_bridge' and reversed.match_id is null

),

{{ movement_sets() }}

{{ match_pass('callback_bridge', 'keyed', 'paired_before') }}

select * from outcomes
