-- Grain: a failed or returned line with callbacks, and the last word of these (greatest occurred_at, sequence, id).

with lines as (

    select * from {{ ref('int_settlement_lines') }}
    where not is_seen_before and settlement_status <> 'settled'

),

reference_keys as (

    select * from {{ source('run', 'reference_keys') }}

),

events as (

    select
        callback_events.*,
        coalesce(nullif(reference_keys.normalized_reference, ''), callback_events.provider_reference) as reference
    from {{ ref('int_callback_events') }} as callback_events
    left join reference_keys on callback_events.provider_reference = reference_keys.reference
    where callback_events.is_believed

),

keyed_lines as (

    select
        lines.*,
        coalesce(nullif(reference_keys.normalized_reference, ''), lines.provider_reference) as reference
    from lines
    left join reference_keys on lines.provider_reference = reference_keys.reference

),

found as (

    select
        keyed_lines.line_id,
        events.provider_event_id
    from keyed_lines
    inner join events on keyed_lines.reference = events.reference and keyed_lines.currency = events.currency
    where keyed_lines.reference <> ''

    union

    select
        keyed_lines.line_id,
        events.provider_event_id
    from keyed_lines
    inner join events
        on keyed_lines.merchant_reference = events.merchant_reference and keyed_lines.currency = events.currency
    where keyed_lines.merchant_reference <> ''

),

ranked as (

    select
        found.line_id,
        events.callback_status as last_status,
        events.provider_event_id as last_event_id,
        row_number() over (
            partition by found.line_id
            order by
                events.occurred_at desc nulls last,
                events.event_sequence desc nulls last,
                events.provider_event_id desc nulls last
        ) as word_rank
    from found
    inner join events on found.provider_event_id = events.provider_event_id

),

final as (

    select
        lines.line_id,
        lines.provider_reference,
        lines.currency,
        lines.gross_minor,
        lines.settlement_status,
        ranked.last_status,
        ranked.last_event_id
    from lines
    inner join ranked on lines.line_id = ranked.line_id and ranked.word_rank = 1

)

select * from final
