-- Grain: an exception type that says why an item is unmatched. An item has one such reason at a time.
-- What judgement decides (`is_firm`: the provider failed it, it repeats another, it is in the wrong currency) stands until somebody
-- decides; the others give way to what a later run can say better.
{{ config(materialized='view') }}

with exception_types as (

    select * from {{ ref('exception_types') }}

),

final as (

    select
        exception_type,
        exception_type in ('failed_settlement', 'duplicate_settlement_line', 'currency_mismatch', 'duplicate_ledger_posting')
            as is_firm
    from exception_types
    where
        exception_type in (
            'failed_settlement', 'duplicate_settlement_line', 'currency_mismatch', 'ambiguous_match', 'unmatched_provider_row',
            'duplicate_ledger_posting', 'unmatched_ledger_entry'
        )

)

select * from final
