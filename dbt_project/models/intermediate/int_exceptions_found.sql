-- Grain: a break this run sees, one row a type and subject: every exception model side by side, in no order that matters.

with unmatched_provider_row as (

    select * from {{ ref('exc_unmatched_provider_row') }}

),

unmatched_ledger_entry as (

    select * from {{ ref('exc_unmatched_ledger_entry') }}

),

missing_callback as (

    select * from {{ ref('exc_missing_callback') }}

),

late_callback as (

    select * from {{ ref('exc_late_callback') }}

),

orphan_callback as (

    select * from {{ ref('exc_orphan_callback') }}

),

amount_mismatch as (

    select * from {{ ref('exc_amount_mismatch') }}

),

currency_mismatch as (

    select * from {{ ref('exc_currency_mismatch') }}

),

fee_variance as (

    select * from {{ ref('exc_fee_variance') }}

),

status_conflict as (

    select * from {{ ref('exc_status_conflict') }}

),

failed_settlement as (

    select * from {{ ref('exc_failed_settlement') }}

),

duplicate_settlement_line as (

    select * from {{ ref('exc_duplicate_settlement_line') }}

),

duplicate_ledger_posting as (

    select * from {{ ref('exc_duplicate_ledger_posting') }}

),

conflicting_callback as (

    select * from {{ ref('exc_conflicting_callback') }}

),

ambiguous_match as (

    select * from {{ ref('exc_ambiguous_match') }}

),

unbalanced_transaction as (

    select * from {{ ref('exc_unbalanced_transaction') }}

),

control_total_mismatch as (

    select * from {{ ref('exc_control_total_mismatch') }}

),

unresolved_reference as (

    select * from {{ ref('exc_unresolved_reference') }}

),

over_applied_reference as (

    select * from {{ ref('exc_over_applied_reference') }}

),

final as (

    select * from unmatched_provider_row
    union all
    select * from unmatched_ledger_entry
    union all
    select * from missing_callback
    union all
    select * from late_callback
    union all
    select * from orphan_callback
    union all
    select * from amount_mismatch
    union all
    select * from currency_mismatch
    union all
    select * from fee_variance
    union all
    select * from status_conflict
    union all
    select * from failed_settlement
    union all
    select * from duplicate_settlement_line
    union all
    select * from duplicate_ledger_posting
    union all
    select * from conflicting_callback
    union all
    select * from ambiguous_match
    union all
    select * from unbalanced_transaction
    union all
    select * from control_total_mismatch
    union all
    select * from unresolved_reference
    union all
    select * from over_applied_reference

)

select * from final
