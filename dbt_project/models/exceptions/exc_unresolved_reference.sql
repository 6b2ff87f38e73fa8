-- Grain: a refund or chargeback whose original is no payment line or movement of this run or an earlier one.

with claims as (

    select * from {{ ref('int_original_claims') }}
    where is_here and line_type in ('refund', 'chargeback') and original_minor is null

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'unresolved_reference' as exception_type,
        'settlement_line' as subject_type,
        claims.line_id as subject_id,
        claims.provider_reference,
        claims.currency,
        claims.gross_minor as amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        claims.line_type || ' line ' || claims.line_id || ' of '
        || {{ money('claims.gross_minor', 'claims.currency', 'currencies.exponent') }}
        || ' refers to ' || claims.original_reference || ', which neither a payment line nor a movement bears' as explanation
    from claims
    left join currencies on claims.currency = currencies.currency

)

select * from final
