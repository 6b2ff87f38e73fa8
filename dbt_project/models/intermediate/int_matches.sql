-- Grain: a match made by this run. `difference_minor` is settlement − ledger of what was compared.
-- Tolerance applies to a pair only; a larger difference stays visible as amount_mismatch, also where operators matched against
-- the amounts. `settled_minor` of `settled_currency` is what its lines settled where all of them are compared by what the customer
-- paid and settled in one currency, else null. By decision items of one side that cancel are matched with each other: the side
-- without an item comes to 0.

with pairs as (

    select * from {{ ref('int_pass_exact_pairs') }}

),

outcomes as (

    select * from {{ ref('int_unpaired_outcomes') }}
    where disposition = 'matched'

),

tolerances as (

    select * from {{ source('run', 'tolerances') }}

),

by_decision as (

    select distinct
        match_id,
        method
    from {{ ref('int_pass_manual') }}

),

line_sums as (

    select
        match_id,
        rule,
        leg_currency as currency,
        match_class,
        cast(count(*) as bigint) as lines,
        cast(sum(leg_minor) as bigint) as settlement_minor,
        min(item_id) as first_line_id,
        min(provider_reference) as line_reference
    from outcomes
    where item_type = 'settlement_line'
    group by match_id, rule, leg_currency, match_class

),

movement_sums as (

    select
        match_id,
        rule,
        leg_currency as currency,
        match_class,
        cast(count(*) as bigint) as movements,
        cast(sum(leg_minor) as bigint) as ledger_minor,
        min(item_id) as first_transaction_id,
        min(provider_reference) as movement_reference
    from outcomes
    where item_type = 'ledger_transaction'
    group by match_id, rule, leg_currency, match_class

),

-- What lines that are compared by what the customer paid settled.
presented_sums as (

    select
        match_id,
        cast(count(*) as bigint) as lines,
        cast(sum(amount_minor) as bigint) as settled_minor,
        min(currency) as settled_currency,
        max(currency) as last_currency
    from outcomes
    where item_type = 'settlement_line' and currency <> leg_currency
    group by match_id

),

-- A match has legs on both sides; one by decision may have them on one.
sums as (

    select
        coalesce(line_sums.match_id, movement_sums.match_id) as match_id,
        coalesce(line_sums.rule, movement_sums.rule) as rule,
        coalesce(line_sums.currency, movement_sums.currency) as currency,
        coalesce(line_sums.match_class, movement_sums.match_class) as line_class,
        coalesce(line_sums.lines, cast(0 as bigint)) as lines,
        coalesce(movement_sums.movements, cast(0 as bigint)) as movements,
        coalesce(line_sums.settlement_minor, cast(0 as bigint)) as settlement_minor,
        coalesce(movement_sums.ledger_minor, cast(0 as bigint)) as ledger_minor,
        line_sums.first_line_id,
        movement_sums.first_transaction_id,
        line_sums.line_reference,
        movement_sums.movement_reference
    from line_sums
    full outer join movement_sums on line_sums.match_id = movement_sums.match_id

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
        presented_sums.settled_currency,
        presented_sums.settled_minor,
        case
            when sums.lines = 1 and sums.movements = 1 then 'one_to_one'
            when sums.lines = 0 then 'none_to_many'
            when sums.movements = 0 then 'many_to_none'
            when sums.lines = 1 then 'one_to_many'
            when sums.movements = 1 then 'many_to_one'
            else 'many_to_many'
        end as cardinality,
        case
            when by_decision.match_id is not null then by_decision.method
            when
                sums.lines = 1 and sums.movements = 1
                and sums.settlement_minor <> sums.ledger_minor
                and abs(sums.settlement_minor - sums.ledger_minor)
                <= coalesce(tolerances.tolerance_minor, any_currency.tolerance_minor, cast(0 as bigint))
                then 'tolerance'
            else 'exact'
        end as method
    from sums
    left join by_decision on sums.match_id = by_decision.match_id
    left join presented_sums
        on
            sums.match_id = presented_sums.match_id
            and sums.lines = presented_sums.lines
            and presented_sums.settled_currency = presented_sums.last_currency
    left join tolerances on sums.currency = tolerances.currency
    left join tolerances as any_currency on any_currency.currency = '*'

    union all

    select
        pairs.match_id,
        'exact_reference' as rule,
        pairs.currency,
        pairs.line_class,
        cast(1 as bigint) as lines,
        cast(1 as bigint) as movements,
        pairs.amount_minor as settlement_minor,
        pairs.amount_minor as ledger_minor,
        cast(0 as bigint) as difference_minor,
        pairs.line_id as first_line_id,
        pairs.transaction_id as first_transaction_id,
        coalesce(tolerances.tolerance_minor, any_currency.tolerance_minor, cast(0 as bigint)) as tolerance_minor,
        pairs.provider_reference,
        cast(null as varchar) as settled_currency,
        cast(null as bigint) as settled_minor,
        'one_to_one' as cardinality,
        'exact' as method
    from pairs
    left join tolerances on pairs.currency = tolerances.currency
    left join tolerances as any_currency on any_currency.currency = '*'

)

select * from final
