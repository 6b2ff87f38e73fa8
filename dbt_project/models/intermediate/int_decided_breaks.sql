-- Grain: an exception of this run whose item a decision in its books matched since: it stays told, though the item is open no more.
-- The one that was decided about is resolved by the person; the others are settled now. What an earlier run opened is
-- not repeated here: the run resolves it like any other.
{{ config(materialized='view') }}

with items as (

    select * from {{ ref('int_pass_manual') }}
    where break_type is not null

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        items.break_type as exception_type,
        items.item_type as subject_type,
        items.item_id as subject_id,
        items.provider_reference,
        items.currency,
        items.amount_minor,
        case items.break_type
            when 'duplicate_settlement_line' then items.amount_minor
            when 'duplicate_ledger_posting' then -items.amount_minor
        end as difference_minor,
        items.match_id,
        case items.item_type when 'settlement_line' then 'settlement line ' else 'ledger transaction ' end
        || items.item_id || ' of '
        || {{ money('items.amount_minor', 'items.currency', 'currencies.exponent') }}
        || ' (reference ' || coalesce(nullif(items.provider_reference, ''), 'none')
        || ') found no counterpart by itself; decision ' || items.decision_id || ' matched it' as explanation,
        items.break_id <> items.exception_id as is_settled
    from items
    left join currencies on items.currency = currencies.currency

)

select * from final
