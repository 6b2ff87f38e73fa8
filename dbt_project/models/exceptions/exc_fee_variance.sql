-- Grain: a settled line whose fee is off its schedule. Expected is gross × rate_bps / 10000 + fixed_minor, unrounded; a variance
-- exceeds tolerance_minor + 0.5. Everything is computed in ten-thousandths of a minor unit, in whole numbers.
-- A line of nothing that nothing answers and that cost nothing has no fee to judge.

with lines as (

    select lines.*
    from {{ ref('int_settlement_lines') }} as lines
    left join {{ ref('int_zero_lines') }} as zero_lines
        on lines.line_id = zero_lines.line_id and lines.currency = zero_lines.currency and lines.fee_minor = 0
    where not lines.is_seen_before and lines.settlement_status = 'settled' and zero_lines.line_id is null

),

fee_schedule as (

    select * from {{ source('run', 'fee_schedule') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

scheduled as (

    select
        lines.*,
        coalesce(own.rate_bps, any_currency.rate_bps) as rate_bps,
        coalesce(own.fixed_minor, any_currency.fixed_minor) as fixed_minor,
        coalesce(own.tolerance_minor, any_currency.tolerance_minor) as tolerance_minor
    from lines
    left join fee_schedule as own on lines.currency = own.currency and lines.line_type = own.line_type
    left join fee_schedule as any_currency on any_currency.currency = '*' and lines.line_type = any_currency.line_type
    where coalesce(own.line_type, any_currency.line_type) is not null

),

variances as (

    select
        scheduled.*,
        cast(fee_minor - fixed_minor as decimal(38, 0)) * 10000 - cast(gross_minor as decimal(38, 0)) * rate_bps as excess
    from scheduled

),

rounded as (

    select
        variances.*,
        cast(
            case
                when excess < 0 then -{{ whole_division('cast(5000 - excess as hugeint)', '10000') }}
                else {{ whole_division('cast(5000 + excess as hugeint)', '10000') }}
            end as bigint
        ) as difference_minor
    from variances
    where abs(excess) > cast(tolerance_minor as decimal(38, 0)) * 10000 + 5000

),

final as (

    select
        'fee_variance' as exception_type,
        'settlement_line' as subject_type,
        rounded.line_id as subject_id,
        rounded.provider_reference,
        rounded.currency,
        rounded.fee_minor as amount_minor,
        rounded.difference_minor,
        cast(null as varchar) as match_id,
        'settlement line ' || rounded.line_id || ': fee '
        || {{ money('rounded.fee_minor', 'rounded.currency', 'currencies.exponent') }}
        || ' on ' || {{ money('rounded.gross_minor', 'rounded.currency', 'currencies.exponent') }}
        || ' is ' || {{ money('abs(rounded.difference_minor)', 'rounded.currency', 'currencies.exponent') }}
        || case when rounded.difference_minor < 0 then ' below' else ' above' end
        || ' the schedule of ' || cast(rounded.rate_bps as varchar) || ' basis points + '
        || {{ money('rounded.fixed_minor', 'rounded.currency', 'currencies.exponent') }} as explanation
    from rounded
    left join currencies on rounded.currency = currencies.currency

)

select * from final
