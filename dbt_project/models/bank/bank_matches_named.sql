-- Grain: a match as `matches` publishes it, by the name of the bank's pass: a pair found by trace or by text, or a group of lines and
-- payouts that one reference names. A difference that is the bank's fee is within tolerance. `bank_sum` is suggested only.
{{ config(meta={'instead_of': 'matches'}, materialized='view') }}

with scope as (

    select * from {{ source('run', 'scope') }}

),

matches as (

    select * from {{ ref('matches') }}

),

earlier as (

    select
        match_id,
        {{ first_by('rule', '-run_sequence') }} as rule
    from {{ source('earlier', 'matches') }}
    group by match_id

),

named as (

    select
        line_id,
        name,
        min(means) as means
    from {{ ref('bank_line_payouts') }}
    group by line_id, name

),

fees as (

    select * from {{ ref('bank_match_fees') }}

),

-- Payouts that come to a line have amounts of their own: their suggestion is made of its legs here.
sums as (

    select
        match_id,
        max(case when item_type = 'settlement_line' then currency end) as currency,
        max(case when item_type = 'settlement_line' then amount_minor end) as amount_minor,
        max(case when item_type = 'settlement_line' then line_class end) as line_class,
        max(case when item_type = 'settlement_line' then item_id end) as line_id,
        min(case when item_type = 'ledger_transaction' then item_id end) as transaction_id,
        max(case when item_type = 'settlement_line' then provider_reference end) as line_reference,
        min(case when item_type = 'ledger_transaction' then provider_reference end) as payout_reference
    from {{ ref('int_pass_amount_date') }}
    where disposition = 'suggested' and rule = 'bank_sum'
    group by match_id

),

final as (

    select
        matches.match_id,
        matches.run_id,
        case
            when matches.status = 'reversed' then coalesce(earlier.rule, matches.rule)
            when matches.rule <> 'exact_reference' then matches.rule
            when matches.cardinality <> 'one_to_one' then 'bank_group'
            when named.means = 'trace' then 'bank_trace'
            else 'bank_text'
        end as rule,
        matches.cardinality,
        case
            when matches.status = 'confirmed' and fees.fee_minor > 0 and matches.method = 'exact' then 'tolerance'
            else matches.method
        end as method,
        matches.status,
        matches.currency,
        matches.settlement_minor,
        matches.ledger_minor,
        matches.difference_minor,
        case when matches.status = 'confirmed' then coalesce(fees.fee_minor, matches.tolerance_minor) else matches.tolerance_minor end
            as tolerance_minor,
        matches.line_class,
        matches.provider_reference,
        matches.first_line_id,
        matches.first_transaction_id,
        matches.review_cutoff_at,
        matches.reversed_run_id,
        matches.settled_currency,
        matches.settled_minor
    from matches
    left join earlier on matches.match_id = earlier.match_id
    left join named on matches.first_line_id = named.line_id and matches.first_transaction_id = named.name
    left join fees on matches.match_id = fees.match_id
    left join sums on matches.match_id = sums.match_id
    where sums.match_id is null

    union all

    select
        sums.match_id,
        scope.run_id,
        'bank_sum' as rule,
        'one_to_many' as cardinality,
        'exact' as method,
        'suggested' as status,
        sums.currency,
        sums.amount_minor as settlement_minor,
        sums.amount_minor as ledger_minor,
        cast(0 as bigint) as difference_minor,
        cast(0 as bigint) as tolerance_minor,
        sums.line_class,
        coalesce(nullif(sums.line_reference, ''), sums.payout_reference) as provider_reference,
        sums.line_id as first_line_id,
        sums.transaction_id as first_transaction_id,
        scope.review_cutoff_at,
        cast(null as varchar) as reversed_run_id,
        cast(null as varchar) as settled_currency,
        cast(null as bigint) as settled_minor
    from sums
    cross join scope

)

select * from final
