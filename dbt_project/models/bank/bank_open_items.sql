-- Grain: a line or payout that is unmatched when the run ends, as the engine has it; overdue by its own provider's `bank_lag_days`.
{{ config(meta={'instead_of': 'int_open_items'}) }}

with open_items as (

    select * from {{ ref('int_open_items') }}

),

payouts as (

    select * from {{ ref('bank_payouts') }}

),

final as (

    select
        open_items.* replace (
            case
                when open_items.item_type = 'ledger_transaction'
                    then open_items.age_business_days > coalesce(payouts.bank_lag_days, 3)
                else open_items.is_overdue
            end as is_overdue
        )
    from open_items
    left join payouts
        on
            open_items.item_type = 'ledger_transaction'
            and open_items.item_id = payouts.name
            and open_items.currency = payouts.currency

)

select * from final
