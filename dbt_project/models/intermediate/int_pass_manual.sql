-- Grain: an item that a decision in this run matches with the others it names, before any other pass.
-- All that a decision names must still be there to match: where a restated file or an earlier run has taken an item away,
-- none is matched and the passes judge the others. The method is the decision's, whatever the amounts have become since.

with scope as (

    select * from {{ source('run', 'scope') }}

),

items as (

    select * from {{ ref('int_items') }}

),

named as (

    select * from {{ source('run', 'manual_matches') }}

),

sides as (

    select
        named.decision_id,
        named.currency,
        count(*) as named_items,
        count(items.item_id) as found_items,
        sum(case when named.item_type = 'settlement_line' then 1 else 0 end) as lines,
        min(case when named.item_type = 'settlement_line' then named.item_id end) as first_line_id,
        min(case when named.item_type = 'ledger_transaction' then named.item_id end) as first_transaction_id
    from named
    left join items
        on
            named.item_type = items.item_type
            and named.item_id = items.item_id
            and named.currency = items.currency
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
        {{ item_columns('items') }},
        'matched' as disposition,
        matched.match_id,
        named.method,
        named.decision_id,
        named.exception_id,
        named.break_id,
        named.break_type
    from matched
    inner join named on matched.decision_id = named.decision_id
    inner join items
        on
            named.item_type = items.item_type
            and named.item_id = items.item_id
            and named.currency = items.currency

)

select * from outcomes
