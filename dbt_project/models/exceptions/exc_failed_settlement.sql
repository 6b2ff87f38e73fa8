-- Grain: a line, or a payout, that the provider reports failed or returned. It cannot be matched and is in no total.

with lines as (

    select * from {{ ref('int_settlement_lines') }}
    where not is_seen_before and settlement_status <> 'settled'

),

open_items as (

    select * from {{ ref('int_open_items') }}
    where item_type = 'settlement_line'

),

-- Of a line that was written off and restated, the part that its exception is about.
parts as (

    select
        lines.* exclude (gross_minor),
        case
            when open_items.amount_minor <> open_items.item_minor or lines.written_off_minor <> 0 then open_items.amount_minor
            else lines.gross_minor
        end as gross_minor
    from lines
    left join open_items on lines.line_id = open_items.item_id and lines.currency = open_items.currency

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'failed_settlement' as exception_type,
        'settlement_line' as subject_type,
        parts.line_id as subject_id,
        parts.provider_reference,
        parts.currency,
        parts.gross_minor as amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'settlement line ' || parts.line_id || ' (' || parts.line_type || ') of '
        || {{ money('parts.gross_minor', 'parts.currency', 'currencies.exponent') }}
        || ' (reference ' || coalesce(nullif(parts.provider_reference, ''), 'none')
        || ') is reported ' || parts.settlement_status || ' by the provider: the money has not moved' as explanation
    from parts
    left join currencies on parts.currency = currencies.currency

)

select * from final
