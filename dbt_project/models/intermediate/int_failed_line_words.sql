-- Grain: a failed or returned line with callbacks that speak for it, and the last word of these (contract §10.8, macro word_order).

with lines as (

    select * from {{ ref('int_settlement_lines') }}
    where not is_seen_before and settlement_status <> 'settled'

),

reference_keys as (

    select * from {{ source('run', 'reference_keys') }}

),

known_references as (

    select * from {{ ref('int_known_references') }}

),

events as (

    select * from {{ ref('int_callback_events') }}
    where has_one_payload

),

-- The provider may speak of what it would have settled or of what the customer was to pay.
amounts_of_lines as (

    select
        *,
        currency as callback_currency,
        gross_minor as callback_minor
    from lines

    union all

    select
        *,
        presentment_currency as callback_currency,
        presentment_minor as callback_minor
    from lines
    where presentment_currency <> currency

),

keyed_lines as (

    select
        lines.line_id,
        lines.merchant_reference,
        lines.callback_currency as currency,
        coalesce(nullif(reference_keys.normalized_reference, ''), lines.provider_reference) as reference,
        lines.line_type as callback_class,
        {{ money_direction('lines.line_type', 'lines.callback_minor') }} as direction
    from amounts_of_lines as lines
    left join reference_keys on lines.provider_reference = reference_keys.reference

),

by_reference as (

    select distinct
        keyed_lines.line_id,
        events.provider_event_id
    from keyed_lines
    inner join events
        on
            keyed_lines.reference = events.reference
            and keyed_lines.currency = events.currency
            and {{ speaks_for('events', 'keyed_lines') }}

),

named as (

    select distinct
        keyed_lines.line_id,
        events.provider_event_id,
        events.reference
    from keyed_lines
    inner join events
        on
            keyed_lines.merchant_reference = events.merchant_reference
            and keyed_lines.currency = events.currency
            and {{ speaks_for('events', 'keyed_lines') }}
    where keyed_lines.merchant_reference <> ''

),

found as (

    select
        line_id,
        provider_event_id,
        true as is_by_reference
    from by_reference

    union all

    select
        line_id,
        provider_event_id,
        false as is_by_reference
    from named
    where not exists (
        select 1
        from known_references
        where named.reference = known_references.reference and not known_references.is_own_name
    )

),

ranked as (

    select
        found.line_id,
        events.callback_status as last_status,
        events.provider_event_id as last_event_id,
        row_number() over (
            partition by found.line_id
            order by
                {{ word_order('events', 'found.is_by_reference') }} desc nulls last,
                events.provider_event_id desc nulls last
        ) as recency_rank
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
    inner join ranked on lines.line_id = ranked.line_id and ranked.recency_rank = 1

)

select * from final
