-- Grain: a match of the run whose lines are not what its payouts come to, and what explains it: `fee_minor`, what the bank kept, where the
-- lines fall short by no more than the provider's tolerance (a pair only) or by just the charges that the bank states; else 0.
-- Charges are stated in the currency of their line: they say nothing of a match in another currency, and no rate is looked up.

with matches as (

    select * from {{ ref('int_matches') }}
    where difference_minor <> 0

),

legs as (

    select * from {{ ref('int_item_outcomes') }}
    where disposition = 'matched'

),

charges as (

    select
        line_id,
        currency,
        max(abs(coalesce(charges_minor, 0))) as charges_minor
    from {{ ref('bank_line_rows') }}
    group by line_id, currency

),

payouts as (

    select * from {{ ref('bank_payouts') }}

),

-- Where one line is for several payouts, or several are for one, a sentence names them all.
named as (

    select
        match_id,
        item_type,
        {{ ordered_text_agg('item_id', ' and ', 'item_id asc nulls last') }} as items
    from legs
    group by match_id, item_type
    having count(*) > 1

),

stated as (

    select
        legs.match_id,
        cast(sum(coalesce(charges.charges_minor, 0)) as bigint) as charges_minor
    from legs
    inner join charges on legs.item_id = charges.line_id and legs.currency = charges.currency
    inner join matches on legs.match_id = matches.match_id and legs.currency = matches.currency
    where legs.item_type = 'settlement_line'
    group by legs.match_id

),

tolerated as (

    select
        legs.match_id,
        min(payouts.bank_fee_tolerance_minor) as tolerance_minor,
        min(payouts.provider) as payout_provider
    from legs
    inner join payouts on legs.item_id = payouts.name and legs.currency = payouts.currency
    where legs.item_type = 'ledger_transaction'
    group by legs.match_id

),

final as (

    select
        matches.match_id,
        matches.currency,
        matches.first_line_id,
        matches.first_transaction_id,
        matches.provider_reference,
        matches.settlement_minor,
        matches.ledger_minor,
        matches.difference_minor,
        coalesce(stated.charges_minor, cast(0 as bigint)) as charges_minor,
        coalesce(tolerated.tolerance_minor, cast(0 as bigint)) as tolerance_minor,
        tolerated.payout_provider,
        'lines ' || named_lines.items as lines_in_words,
        'payouts ' || named_payouts.items as payouts_in_words,
        case
            when matches.difference_minor >= 0 or matches.ledger_minor <= 0 then cast(0 as bigint)
            when coalesce(stated.charges_minor, 0) = -matches.difference_minor then -matches.difference_minor
            when
                matches.cardinality = 'one_to_one'
                and -matches.difference_minor <= coalesce(tolerated.tolerance_minor, 0)
                then -matches.difference_minor
            else cast(0 as bigint)
        end as fee_minor
    from matches
    left join stated on matches.match_id = stated.match_id
    left join tolerated on matches.match_id = tolerated.match_id
    left join named as named_lines on matches.match_id = named_lines.match_id and named_lines.item_type = 'settlement_line'
    left join named as named_payouts on matches.match_id = named_payouts.match_id and named_payouts.item_type = 'ledger_transaction'

)

select * from final
