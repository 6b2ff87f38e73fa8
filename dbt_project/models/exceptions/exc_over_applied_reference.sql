-- Grain: a refund or chargeback that, in order, leaves more applied to its original than the original was.

with claims as (

    select * from {{ ref('int_original_claims') }}
    where line_type in ('refund', 'chargeback') and original_minor is not null and applied_minor > original_minor

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'over_applied_reference' as exception_type,
        'settlement_line' as subject_type,
        claims.line_id as subject_id,
        claims.provider_reference,
        claims.claim_currency as currency,
        claims.claim_minor as amount_minor,
        claims.applied_minor - claims.original_minor as difference_minor,
        cast(null as varchar) as match_id,
        claims.line_type || ' line ' || claims.line_id || ' raises the refunds and chargebacks of ' || claims.original_reference || ' to '
        || {{ money('claims.applied_minor', 'claims.claim_currency', 'currencies.exponent') }}
        || ', above the original '
        || {{ money('claims.original_minor', 'claims.claim_currency', 'currencies.exponent') }} as explanation
    from claims
    left join currencies on claims.claim_currency = currencies.currency

)

select * from final
