-- Grain: a match whose bank fee is other than the bank states, or by what it states above the provider's tolerance, where there is one.
{{ config(tags=['bank']) }}

with differing as (

    select * from {{ ref('bank_match_fees') }}
    where fee_minor > 0 and charges_minor > 0 and (fee_minor <> charges_minor or (tolerance_minor > 0 and fee_minor > tolerance_minor))

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'bank_fee_variance' as exception_type,
        'settlement_line' as subject_type,
        differing.first_line_id as subject_id,
        differing.provider_reference,
        differing.currency,
        -differing.fee_minor as amount_minor,
        case
            when differing.fee_minor <> differing.charges_minor then differing.charges_minor - differing.fee_minor
            else differing.tolerance_minor - differing.fee_minor
        end as difference_minor,
        differing.match_id,
        'the bank kept ' || {{ money('differing.fee_minor', 'differing.currency', 'currencies.exponent') }}
        || ' of ' || coalesce(differing.payouts_in_words, 'payout ' || differing.first_transaction_id)
        || case
            when differing.fee_minor <> differing.charges_minor
                then
                    ', and states charges of '
                    || {{ money('differing.charges_minor', 'differing.currency', 'currencies.exponent') }}
            else
                ', and ' || {{ money('differing.tolerance_minor', 'differing.currency', 'currencies.exponent') }}
                || ' is what bank_fee_tolerance_minor of the profile allows'
        end as explanation
    from differing
    left join currencies on differing.currency = currencies.currency
    where differing.first_line_id is not null and differing.first_transaction_id is not null

)

select * from final
