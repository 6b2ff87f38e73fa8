-- What a run writes off is in its roll-forward, to the minor unit, and unmatched. Of an item it is what was approved, and with what of
-- the item is carried forward comes to the whole item.
{{ config(meta={'dagster': {'ref': {'name': 'rollforward'}}}) }}

with write_offs as (

    select * from {{ ref('write_offs') }}

),

decided as (

    select * from {{ source('run', 'write_offs') }}

),

items as (

    select
        item_type,
        item_id,
        currency,
        amount_minor
    from {{ ref('int_unpaired_items') }}
    where is_decided

    union all

    select
        'settlement_line' as item_type,
        lines.line_id as item_id,
        lines.currency,
        {{ line_amount('lines', 'profile') }} as amount_minor
    from {{ ref('int_settlement_lines') }} as lines
    cross join {{ source('run', 'profile') }} as profile
    where lines.settlement_status <> 'settled' and not lines.is_seen_before

),

movements as (

    select
        currency,
        cast(sum(amount_minor) as bigint) as amount_minor
    from write_offs
    where item_type = 'ledger_transaction'
    group by currency

),

misstated as (

    select
        coalesce(movements.currency, rollforward.currency) as currency,
        'rollforward' as place,
        cast(null as varchar) as item_id
    from {{ ref('rollforward') }} as rollforward
    full outer join movements on rollforward.currency = movements.currency
    where coalesce(rollforward.written_off_minor, 0) <> coalesce(movements.amount_minor, 0)

    union all

    select
        write_offs.currency,
        'open_items' as place,
        write_offs.item_id
    from write_offs
    left join items
        on
            write_offs.item_type = items.item_type
            and write_offs.item_id = items.item_id
            and write_offs.currency = items.currency
    left join {{ ref('open_items') }} as open_items
        on
            write_offs.item_type = open_items.item_type
            and write_offs.item_id = open_items.item_id
            and write_offs.currency = open_items.currency
    where write_offs.amount_minor + coalesce(open_items.amount_minor, 0) is distinct from items.amount_minor

    union all

    select
        write_offs.currency,
        'decision' as place,
        write_offs.item_id
    from write_offs
    inner join decided on write_offs.decision_id = decided.decision_id
    where write_offs.amount_minor <> decided.amount_minor

    union all

    select
        write_offs.currency,
        'match_legs' as place,
        write_offs.item_id
    from write_offs
    inner join {{ ref('match_legs') }} as legs
        on write_offs.item_type = legs.leg_type and write_offs.item_id = legs.leg_id
    inner join {{ ref('matches') }} as matches
        on
            legs.match_id = matches.match_id
            and write_offs.currency = coalesce(legs.item_currency, matches.currency)
            and matches.status = 'confirmed'

)

select * from misstated
