-- An open line has exactly one reason for being unmatched, an open movement one when it repeats another or is overdue and
-- none while it is in transit; what is not open has none. A failed line of a type that needs no movement is not open.
{{ config(meta={'dagster': {'ref': {'name': 'open_items'}}}) }}

with open_items as (

    select
        item_type,
        item_id,
        currency,
        case when item_type = 'settlement_line' or disposition = 'duplicate' or is_overdue then 1 else 0 end as reasons
    from {{ ref('int_open_items') }}

),

given as (

    select
        found.subject_type,
        found.subject_id,
        found.currency,
        cast(count(*) as bigint) as reasons,
        cast(sum(case when found.exception_type = 'failed_settlement' then 1 else 0 end) as bigint) as failures
    from {{ ref('int_exceptions_found') }} as found
    inner join {{ ref('int_unmatched_reasons') }} as reason_types on found.exception_type = reason_types.exception_type
    group by found.subject_type, found.subject_id, found.currency

),

misjudged as (

    select
        coalesce(open_items.item_type, given.subject_type) as item_type,
        coalesce(open_items.item_id, given.subject_id) as item_id,
        coalesce(open_items.currency, given.currency) as currency,
        open_items.reasons as reasons_expected,
        given.reasons as reasons_given
    from open_items
    full outer join given
        on
            open_items.item_type = given.subject_type
            and open_items.item_id = given.subject_id
            and open_items.currency = given.currency
    where coalesce(given.reasons, 0) <> coalesce(open_items.reasons, given.failures, 0)

)

select * from misjudged
