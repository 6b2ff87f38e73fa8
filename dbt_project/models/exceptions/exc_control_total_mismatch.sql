-- Grain: a settled line whose gross − fee is not its net, or a payout whose total the rows of its batch do not add up to.

with lines as (

    select * from {{ ref('int_settlement_lines') }}
    where
        not is_seen_before
        and settlement_status = 'settled'
        and gross_minor - fee_minor <> net_minor

),

payouts as (

    select * from {{ ref('int_payout_totals') }}
    where difference_minor <> 0

),

currencies as (

    select * from {{ ref('currencies') }}

),

of_lines as (

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

),

of_payouts as (

    select
        'control_total_mismatch' as exception_type,
        'settlement_line' as subject_type,
        payouts.payout_line_id as subject_id,
        payouts.provider_reference,
        payouts.currency,
        payouts.payout_minor as amount_minor,
        payouts.difference_minor,
        cast(null as varchar) as match_id,
        'payout line ' || payouts.payout_line_id || ' pays '
        || {{ money('payouts.payout_minor', 'payouts.currency', 'currencies.exponent') }}
        || ' for batch ' || payouts.batch_id || ', but its ' || cast(payouts.other_lines as varchar)
        || case when payouts.other_lines = 1 then ' settled row comes to ' else ' settled rows add up to ' end
        || {{ money('payouts.lines_minor', 'payouts.currency', 'currencies.exponent') }}
        || ': ' || {{ money('abs(payouts.difference_minor)', 'payouts.currency', 'currencies.exponent') }}
        || ' unaccounted for' as explanation
    from payouts
    left join currencies on payouts.currency = currencies.currency

),

final as (

    select * from of_lines
    union all
    select * from of_payouts

)

select * from final
