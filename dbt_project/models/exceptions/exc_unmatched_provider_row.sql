-- Grain: a settlement line of a type that needs a ledger movement and finds none.
-- Failed, duplicate, currency-mismatched and ambiguous lines say so instead: one reason for being unmatched.

with open_items as (

    select * from {{ ref('int_open_items') }}
    where item_type = 'settlement_line' and disposition = 'free'

),

currency_mismatches as (

    select * from {{ ref('int_currency_mismatches') }}

),

other_accounts as (

    select * from {{ ref('int_other_accounts') }}
    where account_rank = 1

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'unmatched_provider_row' as exception_type,
        'settlement_line' as subject_type,
        open_items.item_id as subject_id,
        open_items.provider_reference,
        open_items.currency,
        open_items.amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        case
            when open_items.is_fee then 'the fee of settlement line ' || {{ fee_line_id('open_items.item_id') }}
            else 'settlement line ' || open_items.item_id
        end
        || ' of '
        || {{ money('open_items.amount_minor', 'open_items.currency', 'currencies.exponent') }}
        || ' (reference ' || coalesce(nullif(open_items.provider_reference, ''), 'none')
        || ') has no ledger movement: '
        || case
            when other_accounts.reference is null then 'no pass found one'
            else
                'its reference is posted on ' || other_accounts.account || ' by transaction ' || other_accounts.transaction_id
                || ', and ' || other_accounts.account
                || ' is not a clearing account of the profile: name it in clearing_accounts, or have the posting corrected'
        end as explanation
    from open_items
    left join other_accounts on open_items.provider_reference = other_accounts.reference
    left join currency_mismatches
        on open_items.item_id = currency_mismatches.line_id and open_items.currency = currency_mismatches.currency
    left join currencies on open_items.currency = currencies.currency
    where currency_mismatches.line_id is null

)

select * from final
