-- Grain: side and currency, as `conservation` publishes it for a bank account: side `bank` for the account's lines, `payout` for what
-- providers paid out.

with final as (

    select * {{ with_other('side', "case side when 'settlement' then 'bank' when 'ledger' then 'payout' else side end") }}
    from {{ ref('conservation') }}

)

select * from final
