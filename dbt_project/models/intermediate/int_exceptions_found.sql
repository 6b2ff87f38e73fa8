-- Grain: a break this run sees, one row a type and subject: every exception model side by side, in no order that matters.
{% set types = [
    'unmatched_provider_row',
    'unmatched_ledger_entry',
    'missing_callback',
    'late_callback',
    'orphan_callback',
    'amount_mismatch',
    'currency_mismatch',
    'fee_variance',
    'status_conflict',
    'failed_settlement',
    'duplicate_settlement_line',
    'duplicate_ledger_posting',
    'conflicting_callback',
    'ambiguous_match',
    'unbalanced_transaction',
    'control_total_mismatch',
    'unresolved_reference',
    'over_applied_reference'
] %}

with final as (

    {% for type in types %}
        select * from {{ ref('exc_' ~ type) }}
        {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from final
