-- Grain: a line that repeats what another line has credited for the same payout: the bank booked the same thing twice.
{{ config(tags=['bank']) }}

with open_items as (

    select * from {{ ref('int_open_items') }}
    where item_type = 'settlement_line' and disposition = 'duplicate'

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'duplicate_bank_line' as exception_type,
        'settlement_line' as subject_type,
        open_items.item_id as subject_id,
        open_items.provider_reference,
        open_items.currency,
        open_items.amount_minor,
        open_items.amount_minor as difference_minor,
        cast(null as varchar) as match_id,
        'bank line ' || open_items.item_id || ' repeats '
        || {{ money('open_items.amount_minor', 'open_items.currency', 'currencies.exponent') }}
        || ' of payout ' || open_items.provider_reference || ', which another line has already credited' as explanation
    from open_items
    left join currencies on open_items.currency = currencies.currency
)

select * from final
