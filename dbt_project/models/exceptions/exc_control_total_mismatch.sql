-- Grain: a settled line whose gross − fee is not its net.

with lines as (

    select * from {{ ref('int_settlement_lines') }}
    where
        not is_seen_before
        and settlement_status = 'settled'
        and gross_minor - fee_minor <> net_minor

),

currencies as (

    select * from {{ ref('currencies') }}

),

final as (

    select
        'control_total_mismatch' as exception_type,
        'settlement_line' as subject_type,
        lines.line_id as subject_id,
        lines.provider_reference,
        lines.currency,
        lines.net_minor as amount_minor,
        lines.gross_minor - lines.fee_minor - lines.net_minor as difference_minor,
        cast(null as varchar) as match_id,
        'settlement line ' || lines.line_id || ': gross '
        || {{ money('lines.gross_minor', 'lines.currency', 'currencies.exponent') }}
        || ' less fee '
        || {{ money('lines.fee_minor', 'lines.currency', 'currencies.exponent') }}
        || ' is not net '
        || {{ money('lines.net_minor', 'lines.currency', 'currencies.exponent') }} as explanation
    from lines
    left join currencies on lines.currency = currencies.currency

)

select * from final
