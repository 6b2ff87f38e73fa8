-- Grain: an exception type that says why an item is unmatched. An item has one such reason at a time, the first that applies by
-- `rank` (contract §10.6). A reason that another run knows better is superseded; a wrong currency (`is_terminal_reason`) stays, though its
-- movement finds another line and a lesser reason would apply by now.
{{ config(materialized='view') }}

with exception_types as (

    select * from {{ ref('exception_types') }}

),

final as (

    select
        exception_type,
        cast(
            case exception_type
                when 'failed_settlement' then 1
                when 'duplicate_settlement_line' then 2
                when 'duplicate_ledger_posting' then 2
                when 'currency_mismatch' then 3
                when 'ambiguous_match' then 4
                else 5
            end as bigint
        ) as rank,
        exception_type = 'currency_mismatch' as is_terminal_reason
    from exception_types
    where
        exception_type in (
            'failed_settlement', 'duplicate_settlement_line', 'currency_mismatch', 'ambiguous_match', 'unmatched_provider_row',
            'duplicate_ledger_posting', 'unmatched_ledger_entry'
        )

)

select * from final
