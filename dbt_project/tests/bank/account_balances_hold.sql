-- What the statements open with, their lines, and what exceptions say is missing come to what they close with, in every currency.
{{ config(tags=['bank']) }}

with balances as (

    select * from {{ ref('account_balances') }}

),

excepted as (

    select
        currency,
        cast(sum(difference_minor) as bigint) as excepted_minor
    from {{ ref('int_exceptions_found') }}
    where exception_type in ('statement_gap', 'statement_balance_mismatch')
    group by currency

)

select balances.*
from balances
left join excepted on balances.currency = excepted.currency
where balances.difference_minor <> 0 or balances.gap_minor + balances.mismatch_minor <> coalesce(excepted.excepted_minor, 0)
