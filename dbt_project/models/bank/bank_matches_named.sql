-- Grain: a match as `matches` publishes it, by the name of the bank's pass: a pair found by trace or by text, or a group of lines and
-- payouts that one reference names. A difference that is the bank's fee is within tolerance.
{{ config(meta={'instead_of': 'matches'}, materialized='view') }}

with matches as (

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

)

select * from final
