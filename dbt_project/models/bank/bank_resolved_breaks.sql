-- Grain: an open exception of an earlier run of the account that is found no more: of statements and returned payouts at once, of a match
-- where it was taken back and its line is matched again. What is unmatched by now ends with its match (exceptions).
{{ config(meta={'instead_of': 'int_resolved_originals'}) }}

with earlier as (

    select * from {{ ref('int_earlier_exceptions') }}
    where status <> 'resolved'

),

found as (

    select distinct
        exception_type,
        subject_type,
        subject_id,
        currency
    from {{ ref('int_exceptions_found') }}

),

matched as (

    select distinct
        item_type,
        item_id
    from {{ ref('int_item_outcomes') }}
    where disposition = 'matched'

),

gone as (

    select earlier.*
    from earlier
    left join found
        on
            earlier.exception_type = found.exception_type
            and earlier.subject_type = found.subject_type
            and earlier.subject_id = found.subject_id
            and earlier.currency = found.currency
    where found.subject_id is null

),

final as (

    select exception_id
    from gone
    where exception_type in ('statement_gap', 'statement_balance_mismatch', 'duplicate_statement', 'payout_returned')

    union

    select gone.exception_id
    from gone
    inner join {{ ref('int_reversed_matches') }} as reversed on gone.match_id = reversed.match_id
    inner join matched on gone.subject_type = matched.item_type and gone.subject_id = matched.item_id
    where gone.exception_type in ('bank_amount_mismatch', 'bank_fee_variance')

)

select * from final
