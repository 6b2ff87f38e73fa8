-- Grain: a break that a run of a bank account sees, one row a type and subject: every exception model of the bank side by side.
{{ config(meta={'instead_of': 'int_exceptions_found'}) }}
{% set types = [
    'missing_bank_credit',
    'unexpected_bank_credit',
    'bank_amount_mismatch',
    'bank_currency_mismatch',
    'bank_fee_variance',
    'payout_returned',
    'duplicate_bank_line',
    'duplicate_statement',
    'statement_gap',
    'statement_balance_mismatch'
] %}

with final as (

    select * from {{ ref('exc_ambiguous_match') }}
    {% for type in types %}
        union all
        select * from {{ ref('exc_' ~ type) }}
    {% endfor %}

)

select * from final
