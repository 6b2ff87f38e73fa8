-- What a run writes off is in its roll-forward, to the minor unit, and neither carried forward nor matched.
{{ config(meta={'dagster': {'ref': {'name': 'rollforward'}}}) }}

with write_offs as (

    select * from {{ ref('write_offs') }}

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
    inner join {{ ref('open_items') }} as open_items
        on
            write_offs.item_type = open_items.item_type
            and write_offs.item_id = open_items.item_id
            and write_offs.currency = open_items.currency

    union all

    select
        write_offs.currency,
        'match_legs' as place,
        write_offs.item_id
    from write_offs
    inner join {{ ref('match_legs') }} as legs
        on write_offs.item_type = legs.leg_type and write_offs.item_id = legs.leg_id
    inner join {{ ref('matches') }} as matches
        on legs.match_id = matches.match_id and write_offs.currency = matches.currency and matches.status = 'confirmed'

)

select * from misstated
