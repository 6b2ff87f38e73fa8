-- Grain: an earlier match with a difference that a later part joins: reversed by the system, its legs matched anew here.
-- A later part is a new line or movement of the same reference, currency and class; what waited when the match was made
-- is none.

with matched_items as (

    select * from {{ ref('int_earlier_matched_items') }}

),

lines as (

    select * from {{ ref('int_settlement_lines') }}

),

movements as (

    select * from {{ ref('int_movements') }}

),

match_line_types as (

    select * from {{ source('run', 'match_line_types') }}

),

new_parts as (

    select
        lines.provider_reference,
        lines.currency,
        lines.line_type as line_class
    from lines
    inner join match_line_types on lines.line_type = match_line_types.line_type
    where
        not lines.is_seen_before
        and not lines.is_carried
        and lines.settlement_status = 'settled'
        and lines.provider_reference <> ''

    union all

    select
        provider_reference,
        currency,
        line_class
    from movements
    where not is_carried and provider_reference <> ''

),

final as (

    select distinct
        matched_items.match_id,
        matched_items.currency,
        matched_items.line_class
    from matched_items
    inner join new_parts
        on
            matched_items.provider_reference = new_parts.provider_reference
            and matched_items.currency = new_parts.currency
            and matched_items.line_class = new_parts.line_class
    where matched_items.difference_minor <> 0

)

select * from final
