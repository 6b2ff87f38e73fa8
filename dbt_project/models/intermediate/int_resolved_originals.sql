-- Grain: an open unresolved_reference of an earlier run whose original is known by now.

with earlier as (

    select * from {{ ref('int_earlier_exceptions') }}
    where exception_type = 'unresolved_reference' and status <> 'resolved'

),

deliveries as (

    select * from {{ ref('stg_settlement_lines') }}

),

lines as (

    select * from {{ ref('int_settlement_lines') }}
    where line_type = 'payment'

),

transactions as (

    select * from {{ ref('int_transactions') }}
    where first_clearing_entry_id is not null and movement_type in ('transfer', 'payment', 'card')

),

claims as (

    select distinct
        earlier.exception_id,
        deliveries.original_reference,
        deliveries.currency,
        coalesce(deliveries.presentment_currency, deliveries.currency) as presentment_currency
    from earlier
    inner join deliveries on earlier.subject_id = deliveries.line_id and earlier.currency = deliveries.currency
    where deliveries.original_reference <> ''

),

final as (

    select claims.exception_id
    from claims
    inner join lines
        on
            claims.original_reference = lines.provider_reference
            and (
                claims.currency = lines.currency
                or claims.presentment_currency = coalesce(lines.presentment_currency, lines.currency)
            )

    union

    select claims.exception_id
    from claims
    inner join transactions
        on
            claims.original_reference = transactions.provider_reference
            and transactions.currency in (claims.currency, claims.presentment_currency)

)

select * from final
