-- Grain: an unmatched settled line whose compared amount is zero (contract §10.2): no pass matched it, it repeats and contests
-- nothing, and no movement of another currency has its reference. It is accounted for: no exception, no open item.
-- A fee, adjustment, reserve or payout that is all net and no gross is money, and not nothing.

with outcomes as (

    select
        item_type,
        item_id,
        currency,
        line_class,
        amount_minor,
        compared_currency,
        compared_minor,
        disposition,
        coalesce(nullif(normalized_reference, ''), provider_reference) as reference
    from {{ ref('int_unpaired_outcomes') }}
    where disposition in ('free', 'ambiguous')

),

lines as (

    select * from {{ ref('int_settlement_lines') }}

),

zero_lines as (

    select outcomes.*
    from outcomes
    left join lines on outcomes.item_id = lines.line_id and outcomes.currency = lines.currency
    where
        outcomes.item_type = 'settlement_line'
        and outcomes.disposition = 'free'
        and outcomes.amount_minor = 0
        and outcomes.compared_minor = 0
        and (
            outcomes.line_class in ('payment', 'refund', 'chargeback', 'chargeback_reversal')
            or coalesce(lines.net_minor, 0) = 0
        )

),

in_other_currency as (

    select distinct
        zero_lines.item_id,
        zero_lines.currency
    from zero_lines
    inner join outcomes as movements
        on
            zero_lines.reference = movements.reference
            and zero_lines.line_class = movements.line_class
            and zero_lines.compared_currency <> movements.currency
            and movements.item_type = 'ledger_transaction'
    where zero_lines.reference <> ''

),

final as (

    select
        zero_lines.item_id as line_id,
        zero_lines.currency
    from zero_lines
    left join in_other_currency
        on zero_lines.item_id = in_other_currency.item_id and zero_lines.currency = in_other_currency.currency
    where in_other_currency.item_id is null

)

select * from final
