-- Grain: a line that is compared by what the customer paid: it states that in another currency than the one it settled in, and no
-- movement of its class in the settled one bears its reference, free, matched or written off (contract §10.1, Two currencies).
-- A movement bears the reference of a line when a reference pass would bring the two together: by provider_reference, exactly or
-- normalized, by the line's merchant_reference, or by a callback that bridges them.
-- Of a line that was written off in part the rest is not what the customer paid: it is compared as settled.

with settled_lines as (

    select * from {{ ref('int_settlement_lines') }}
    where presentment_currency is not null and not is_seen_before and written_off_minor = 0

),

written_off as (

    select distinct item_id as line_id
    from {{ ref('stg_earlier_write_offs') }}
    where item_type = 'settlement_line'

),

matched_lines as (

    select items.*
    from {{ ref('int_earlier_matched_items') }} as items
    left join written_off on items.item_id = written_off.line_id
    where items.presentment_currency is not null and written_off.line_id is null

),

transactions as (

    select * from {{ ref('int_transactions') }}
    where first_clearing_entry_id is not null

),

events as (

    select * from {{ ref('int_callback_events') }}
    where has_one_payload

),

reference_keys as (

    select * from {{ source('run', 'reference_keys') }}

),

lines as (

    select
        line_id,
        currency,
        line_type as line_class,
        provider_reference,
        merchant_reference,
        presentment_currency,
        presentment_minor
    from settled_lines
    where presentment_currency <> currency

    union all

    select
        item_id as line_id,
        currency,
        own_class as line_class,
        provider_reference,
        merchant_reference,
        presentment_currency,
        presentment_minor
    from matched_lines
    where presentment_currency <> currency

),

line_keys as (

    select
        lines.line_id,
        lines.currency,
        lines.line_class,
        reference_keys.normalized_reference
    from lines
    inner join reference_keys on lines.provider_reference = reference_keys.reference
    where reference_keys.normalized_reference <> ''

),

same_normalized as (

    select
        line_keys.line_id,
        line_keys.currency,
        line_keys.line_class,
        reference_keys.reference
    from line_keys
    inner join reference_keys on line_keys.normalized_reference = reference_keys.normalized_reference

),

-- Our own names for the movement: the line's merchant_reference, or what a callback of the line carries.
names as (

    select
        line_id,
        currency,
        line_class,
        merchant_reference as movement_name
    from lines
    where merchant_reference <> ''

    union

    select
        lines.line_id,
        lines.currency,
        lines.line_class,
        events.merchant_reference as movement_name
    from lines
    inner join events on lines.provider_reference = events.provider_reference
    where lines.provider_reference <> '' and events.merchant_reference <> ''

),

borne as (

    select lines.line_id
    from lines
    inner join transactions
        on
            lines.provider_reference = transactions.provider_reference
            and lines.currency = transactions.currency
            and lines.line_class = transactions.line_class
    where lines.provider_reference <> ''

    union

    select same_normalized.line_id
    from same_normalized
    inner join transactions
        on
            same_normalized.reference = transactions.provider_reference
            and same_normalized.currency = transactions.currency
            and same_normalized.line_class = transactions.line_class

    union

    select names.line_id
    from names
    inner join transactions
        on
            names.movement_name = transactions.transaction_id
            and names.currency = transactions.currency
            and names.line_class = transactions.line_class

    union

    select names.line_id
    from names
    inner join transactions
        on
            names.movement_name = transactions.intent_id
            and names.currency = transactions.currency
            and names.line_class = transactions.line_class

),

final as (

    select
        lines.line_id,
        lines.presentment_currency as compared_currency,
        lines.presentment_minor as compared_minor
    from lines
    left join borne on lines.line_id = borne.line_id
    where borne.line_id is null

)

select * from final
