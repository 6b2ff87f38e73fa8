-- What a run publishes has keys: readers join on them, and the order of rows in a published file rests on them.
{{ config(meta={'dagster': {'ref': {'name': 'exceptions'}}}) }}

with keys as (

    select
        'exceptions' as table_name,
        exception_id as key_text
    from {{ ref('exceptions') }}

    union all

    select
        'ledger_search' as table_name,
        exception_id || '|' || rule as key_text
    from {{ ref('ledger_search') }}

    union all

    select
        'open_items' as table_name,
        item_type || '|' || currency || '|' || item_id as key_text
    from {{ ref('open_items') }}

    union all

    select
        'conservation' as table_name,
        side || '|' || currency as key_text
    from {{ ref('conservation') }}

    union all

    select
        'rollforward' as table_name,
        currency as key_text
    from {{ ref('rollforward') }}

),

repeated as (

    select
        table_name,
        key_text,
        count(*) as appearances
    from keys
    group by table_name, key_text
    having count(*) > 1 or key_text is null

)

select * from repeated
