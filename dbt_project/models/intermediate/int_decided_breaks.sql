-- Grain: an exception of this run whose item a decision in the same run matched: it remains reported after the item closed. The
-- one that was decided about is resolved by the person; the others are settled now. What an earlier run opened is not repeated
-- here: the run resolves it like any other.
-- If a restated file removed an item of the decision, the decision matches nothing. `is_undone` marks the exception that it was about,
-- where its item is left: it stays as it was decided, and the item, open again, gets another.

with matched as (

    select * from {{ ref('int_pass_manual') }}

),

named as (

    select * from {{ source('run', 'manual_matches') }}

),

items as (

    select * from {{ ref('int_items') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

decided as (

    select
        break_id,
        break_type,
        item_type,
        item_id,
        currency,
        amount_minor,
        provider_reference,
        match_id,
        decision_id,
        break_id <> exception_id as is_settled,
        false as is_undone
    from matched
    where break_type is not null

    union all

    select
        named.break_id,
        named.break_type,
        items.item_type,
        items.item_id,
        items.currency,
        items.amount_minor,
        items.provider_reference,
        cast(null as varchar) as match_id,
        named.decision_id,
        false as is_settled,
        true as is_undone
    from named
    inner join items
        on
            named.item_type = items.item_type
            and named.item_id = items.item_id
            and (named.currency = items.currency or named.item_type = 'settlement_line')
    left join matched on named.decision_id = matched.decision_id
    where named.break_id = named.exception_id and matched.decision_id is null

),

final as (

    select
        decided.break_type as exception_type,
        decided.item_type as subject_type,
        decided.item_id as subject_id,
        decided.provider_reference,
        decided.currency,
        decided.amount_minor,
        case decided.break_type
            when 'duplicate_settlement_line' then decided.amount_minor
            when 'duplicate_ledger_posting' then -decided.amount_minor
        end as difference_minor,
        decided.match_id,
        case decided.item_type when 'settlement_line' then 'settlement line ' else 'ledger transaction ' end
        || decided.item_id || ' of '
        || {{ money('decided.amount_minor', 'decided.currency', 'currencies.exponent') }}
        || ' (reference ' || coalesce(nullif(decided.provider_reference, ''), 'none')
        || ') found no counterpart by itself; decision ' || decided.decision_id || ' matched it'
        || case when decided.is_undone then ' with an item that a restated file has taken away' else '' end as explanation,
        decided.is_settled,
        decided.is_undone,
        decided.break_id as exception_id
    from decided
    left join currencies on decided.currency = currencies.currency

)

select * from final
