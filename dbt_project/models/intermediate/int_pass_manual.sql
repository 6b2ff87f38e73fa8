-- Grain: an item that a decision in this run matches with the others it names, before any other pass.
-- All that a decision names must still be there to match: where a restated file or an earlier run has taken an item away,
-- none is matched and the passes judge the others. The method is the decision's, whatever the amounts have become since.
-- A decision matches in one currency: its lines are those that settled in it, or that state what the customer paid in it.

with scope as (

    select * from {{ source('run', 'scope') }}

),

items as (

    select * from {{ ref('int_items') }}

),

lines as (

    select * from {{ ref('int_settlement_lines') }}
    where presentment_currency is not null and written_off_minor = 0

),

named as (

    select * from {{ source('run', 'manual_matches') }}

),

named_items as (

    select
        named.decision_id,
        named.item_type,
        named.item_id,
        named.currency as decided_currency,
        items.currency,
        case
            when items.currency = named.currency then items.amount_minor
            when items.compared_currency = named.currency then items.compared_minor
            else lines.presentment_minor
        end as decided_minor
    from named
    inner join items on named.item_type = items.item_type and named.item_id = items.item_id
    left join lines
        on
            items.item_type = 'settlement_line'
            and items.item_id = lines.line_id
            and items.currency = lines.currency
            and named.currency = lines.presentment_currency
    where named.currency = items.currency or named.currency = items.compared_currency or lines.line_id is not null

),

sides as (

    select
        named.decision_id,
        named.currency,
        count(*) as named_items,
        count(named_items.item_id) as found_items,
        sum(case when named.item_type = 'settlement_line' then 1 else 0 end) as lines,
        min(case when named.item_type = 'settlement_line' then named.item_id end) as first_line_id,
        min(case when named.item_type = 'ledger_transaction' then named.item_id end) as first_transaction_id
    from named
    left join named_items
        on
            named.decision_id = named_items.decision_id
            and named.item_type = named_items.item_type
            and named.item_id = named_items.item_id
    group by named.decision_id, named.currency

),

matched as (

    select
        sides.decision_id,
        {{ match_id(
            'manual', 'sides.decision_id', 'sides.currency', "'manual'",
            "cast(sides.lines as varchar) || ':' || cast(sides.named_items - sides.lines as varchar)",
            'sides.first_line_id', 'sides.first_transaction_id'
        ) }} as match_id
    from sides
    cross join scope
    where sides.named_items = sides.found_items

),

outcomes as (

    select
        items.* exclude (compared_currency, compared_minor),
        named_items.decided_currency as compared_currency,
        named_items.decided_minor as compared_minor,
        'matched' as disposition,
        matched.match_id,
        named.method,
        named.decision_id,
        named.exception_id,
        named.break_id,
        named.break_type
    from matched
    inner join named on matched.decision_id = named.decision_id
    inner join named_items
        on
            named.decision_id = named_items.decision_id
            and named.item_type = named_items.item_type
            and named.item_id = named_items.item_id
    inner join items
        on
            named_items.item_type = items.item_type
            and named_items.item_id = items.item_id
            and named_items.currency = items.currency

)

select * from outcomes
