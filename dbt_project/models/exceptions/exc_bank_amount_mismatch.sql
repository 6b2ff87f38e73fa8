-- Grain: a match of lines with payouts whose difference is neither a fee within the provider's tolerance nor charges that the bank
-- states.
{{ config(tags=['bank']) }}

with differing as (

    select * from {{ ref('bank_match_fees') }}
    where fee_minor = 0

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'bank_amount_mismatch' as exception_type,
        'settlement_line' as subject_type,
        differing.first_line_id as subject_id,
        differing.provider_reference,
        differing.currency,
        differing.settlement_minor as amount_minor,
        differing.difference_minor,
        differing.match_id,
        'the bank credited ' || {{ money('differing.settlement_minor', 'differing.currency', 'currencies.exponent') }}
        || ' by ' || coalesce(differing.lines_in_words, 'line ' || differing.first_line_id)
        || ', and ' || coalesce(differing.payouts_in_words || ' come to ', 'payout ' || differing.first_transaction_id || ' comes to ')
        || {{ money('differing.ledger_minor', 'differing.currency', 'currencies.exponent') }}
        || case
            when differing.charges_minor = 0 then ''
            else
                '; the bank states charges of '
                || {{ money('differing.charges_minor', 'differing.currency', 'currencies.exponent') }}
        end as explanation
    from differing
    left join currencies on differing.currency = currencies.currency
    where differing.first_line_id is not null and differing.first_transaction_id is not null

)

select * from final
