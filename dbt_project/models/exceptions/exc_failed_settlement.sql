-- Grain: a line, or a payout, that the provider reports failed or returned. It cannot be matched and is in no total.

with lines as (

    select * from {{ ref('int_settlement_lines') }}
    where not is_seen_before and settlement_status <> 'settled'

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'failed_settlement' as exception_type,
        'settlement_line' as subject_type,
        lines.line_id as subject_id,
        lines.provider_reference,
        lines.currency,
        lines.gross_minor as amount_minor,
        cast(null as bigint) as difference_minor,
        cast(null as varchar) as match_id,
        'settlement line ' || lines.line_id || ' (' || lines.line_type || ') of '
        || {{ money('lines.gross_minor', 'lines.currency', 'currencies.exponent') }}
        || ' (reference ' || coalesce(nullif(lines.provider_reference, ''), 'none')
        || ') is reported ' || lines.settlement_status || ' by the provider: the money has not moved' as explanation
    from lines
    left join currencies on lines.currency = currencies.currency

)

select * from final
