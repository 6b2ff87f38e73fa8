-- Grain: side and currency, as `conservation` publishes it for a bank account: side `bank` for the account's lines, `payout` for what
-- providers paid out.

with final as (

    select * replace (case side when 'settlement' then 'bank' when 'ledger' then 'payout' else side end as side)
    from {{ ref('conservation') }}

)

select * from final
