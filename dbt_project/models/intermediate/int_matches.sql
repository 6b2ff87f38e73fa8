-- Grain: a match made by this run. `difference_minor` is settlement − ledger of what was compared.
-- Tolerance applies to one line against one movement only; a larger difference stays visible as amount_mismatch.

with outcomes as (

    select * from {{ ref('int_item_outcomes') }}
    where disposition = 'matched'

),

tolerances as (

    select * from {{ source('run', 'tolerances') }}

),

sums as (

    select
        match_id,
        rule,
        currency,
        match_class as line_class,
        cast(sum(case when item_type = 'settlement_line' then 1 else 0 end) as bigint) as lines,
        cast(sum(case when item_type = 'ledger_transaction' then 1 else 0 end) as bigint) as movements,
        cast(sum(case when item_type = 'settlement_line' then leg_minor else 0 end) as bigint) as settlement_minor,
        cast(sum(case when item_type = 'ledger_transaction' then leg_minor else 0 end) as bigint) as ledger_minor,
        min(case when item_type = 'settlement_line' then item_id end) as first_line_id,
        min(case when item_type = 'ledger_transaction' then item_id end) as first_transaction_id,
        min(case when item_type = 'settlement_line' then provider_reference end) as line_reference,
        min(case when item_type = 'ledger_transaction' then provider_reference end) as movement_reference
    from outcomes
    group by match_id, rule, currency, match_class

),

final as (

    select
        sums.match_id,
        sums.rule,
        sums.currency,
        sums.line_class,
        sums.lines,
        sums.movements,
        sums.settlement_minor,
        sums.ledger_minor,
        sums.settlement_minor - sums.ledger_minor as difference_minor,
        sums.first_line_id,
        sums.first_transaction_id,
        coalesce(tolerances.tolerance_minor, any_currency.tolerance_minor, cast(0 as bigint)) as tolerance_minor,
        coalesce(nullif(sums.line_reference, ''), sums.movement_reference) as provider_reference,
        case
            when sums.lines = 1 and sums.movements = 1 then 'one_to_one'
            when sums.lines = 1 then 'one_to_many'
            when sums.movements = 1 then 'many_to_one'
            else 'many_to_many'
        end as cardinality,
        case
            when
                sums.lines = 1 and sums.movements = 1
                and sums.settlement_minor <> sums.ledger_minor
                and abs(sums.settlement_minor - sums.ledger_minor)
                <= coalesce(tolerances.tolerance_minor, any_currency.tolerance_minor, cast(0 as bigint))
                then 'tolerance'
            else 'exact'
        end as method
    from sums
    left join tolerances on sums.currency = tolerances.currency
    left join tolerances as any_currency on any_currency.currency = '*'

)

select * from final
