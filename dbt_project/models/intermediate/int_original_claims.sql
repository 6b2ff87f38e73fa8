-- Grain: a settled refund, chargeback or reversal (a claim) that refers to an original of which this run sees a claim, or the original
-- itself, whose total may have changed. Claims of earlier runs are judged too. Claims are in order, each with the amount applied to the
-- original up to and including it. A blank reference makes no claim.
-- `original_minor` is the total of the original's settled payment lines, else of its movements; 0 where all that is known is a
-- payment line that failed, null where nothing is. A line that repeats another adds nothing.
-- Original and claims are compared by what the customer paid where all lines of the original that settled in one currency state it,
-- in one currency (`claim_currency`, `claim_minor`); else as settled. Of an original without a line, its movement decides.

with lines as (

    select * from {{ ref('int_settlement_lines') }}

),

deliveries as (

    select * from {{ ref('stg_settlement_lines') }}

),

earlier_runs as (

    select * from {{ source('earlier', 'runs') }}

),

transactions as (

    select * from {{ ref('int_transactions') }}
    where
        first_clearing_entry_id is not null
        and movement_type in ('transfer', 'payment', 'card')
        and provider_reference <> ''

),

movements as (

    select * from {{ ref('int_movements') }}
    where line_class = 'payment'

),

returned as (

    select matched_items.*
    from {{ ref('int_earlier_matched_items') }} as matched_items
    inner join {{ ref('int_reversed_matches') }} as reversed on matched_items.match_id = reversed.match_id
    where matched_items.item_type = 'ledger_transaction'

),

outcomes as {{ read_where_used() }} (

    select * from {{ ref('int_item_outcomes') }}
    where item_type = 'settlement_line'

),

earlier_exceptions as (

    select * from {{ ref('int_earlier_exceptions') }}
    where
        exception_type = 'duplicate_settlement_line'
        and not (status = 'resolved' and resolution in ('matched_late', 'superseded'))

),

earlier_claims as (

    select distinct deliveries.original_reference
    from deliveries
    inner join earlier_runs on deliveries.settlement_file = earlier_runs.settlement_file
    where
        deliveries.line_type in ('refund', 'chargeback', 'chargeback_reversal')
        and deliveries.original_reference <> ''

),

claims_here as (

    select original_reference
    from lines
    where
        not is_seen_before
        and settlement_status = 'settled'
        and line_type in ('refund', 'chargeback', 'chargeback_reversal')
        and original_reference <> ''

    union

    select earlier_claims.original_reference
    from earlier_claims
    inner join lines on earlier_claims.original_reference = lines.provider_reference
    where lines.line_type = 'payment' and not lines.is_seen_before

    union

    select earlier_claims.original_reference
    from earlier_claims
    inner join movements on earlier_claims.original_reference = movements.provider_reference

    union

    select earlier_claims.original_reference
    from earlier_claims
    inner join returned on earlier_claims.original_reference = returned.provider_reference

),

-- What was set aside and written off as a duplicate meets no pass any more.
duplicates as (

    select
        item_id as line_id,
        currency
    from outcomes
    where disposition = 'duplicate'

    union

    select
        earlier_exceptions.subject_id as line_id,
        earlier_exceptions.currency
    from earlier_exceptions
    left join outcomes on earlier_exceptions.subject_id = outcomes.item_id and earlier_exceptions.currency = outcomes.currency
    where outcomes.item_id is null

    union

    select
        item_id as line_id,
        currency
    from {{ source('run', 'write_offs') }}
    where exception_type = 'duplicate_settlement_line'

),

related_deliveries as (

    select
        deliveries.*,
        row_number() over (
            partition by deliveries.line_id
            order by deliveries.file_sequence desc nulls last, deliveries.row_number desc nulls last
        ) as age_rank
    from deliveries
    inner join earlier_runs on deliveries.settlement_file = earlier_runs.settlement_file
    inner join claims_here
        on
            (
                case when deliveries.line_type = 'payment' then deliveries.provider_reference else deliveries.original_reference end
            ) = claims_here.original_reference

),

all_lines as (

    select
        line_id,
        line_type,
        case when line_type = 'payment' then provider_reference else original_reference end as original,
        provider_reference,
        original_reference,
        currency,
        gross_minor,
        nullif(presentment_currency, currency) as presentment_currency,
        presentment_minor,
        settled_at,
        settlement_status = 'settled' as is_settled,
        not is_seen_before as is_here
    from lines

    union all

    select
        related_deliveries.line_id,
        related_deliveries.line_type,
        case
            when related_deliveries.line_type = 'payment' then related_deliveries.provider_reference
            else related_deliveries.original_reference
        end as original,
        related_deliveries.provider_reference,
        related_deliveries.original_reference,
        related_deliveries.currency,
        related_deliveries.gross_minor,
        nullif(related_deliveries.presentment_currency, related_deliveries.currency) as presentment_currency,
        related_deliveries.presentment_minor,
        related_deliveries.settled_at,
        related_deliveries.settlement_status = 'settled' as is_settled,
        false as is_here
    from related_deliveries
    left join lines on related_deliveries.line_id = lines.line_id
    where related_deliveries.age_rank = 1 and lines.line_id is null

),

related_lines as (

    select all_lines.*
    from all_lines
    inner join claims_here on all_lines.original = claims_here.original_reference
    where all_lines.line_type in ('payment', 'refund', 'chargeback', 'chargeback_reversal')

),

posted as (

    select
        transactions.provider_reference as original_reference,
        transactions.currency,
        cast(sum(transactions.clearing_minor) as bigint) as posted_minor
    from transactions
    inner join claims_here on transactions.provider_reference = claims_here.original_reference
    group by transactions.provider_reference, transactions.currency

),

-- What of an original settled in one currency, where all of it states what the customer paid, in one other currency.
presented as (

    select
        stated.original,
        stated.currency,
        stated.presentment_currency
    from (
        select
            original,
            currency,
            min(presentment_currency) as presentment_currency,
            sum(case when line_type = 'payment' then 1 else 0 end) as payments
        from related_lines
        where is_settled or line_type = 'payment'
        group by original, currency
        having
            count(related_lines.presentment_currency) = count(*)
            and min(related_lines.presentment_currency) = max(related_lines.presentment_currency)
    ) as stated
    left join posted on stated.original = posted.original_reference and stated.currency = posted.currency
    where stated.payments > 0 or posted.original_reference is null

),

known_lines as (

    select
        related_lines.*,
        coalesce(presented.presentment_currency, related_lines.currency) as claim_currency,
        case when presented.original is null then related_lines.gross_minor else related_lines.presentment_minor end as claim_minor
    from related_lines
    left join presented on related_lines.original = presented.original and related_lines.currency = presented.currency

),

paid as (

    select
        known_lines.original,
        known_lines.claim_currency,
        cast(sum(known_lines.claim_minor) as bigint) as paid_minor
    from known_lines
    left join duplicates on known_lines.line_id = duplicates.line_id and known_lines.currency = duplicates.currency
    where known_lines.line_type = 'payment' and known_lines.is_settled and duplicates.line_id is null
    group by known_lines.original, known_lines.claim_currency

),

-- A payment that failed is known, and nothing of it can be taken back.
failed as (

    select distinct
        original,
        claim_currency
    from known_lines
    where line_type = 'payment' and not is_settled

),

final as (

    select
        known_lines.line_id,
        known_lines.line_type,
        known_lines.provider_reference,
        known_lines.original_reference,
        known_lines.currency,
        known_lines.gross_minor,
        known_lines.claim_currency,
        known_lines.claim_minor,
        known_lines.is_here,
        coalesce(
            paid.paid_minor, posted.posted_minor, case when failed.original is not null then cast(0 as bigint) end
        ) as original_minor,
        cast(
            sum(-known_lines.claim_minor) over (
                partition by known_lines.original, known_lines.claim_currency
                order by known_lines.settled_at asc nulls last, known_lines.line_id asc nulls last
                rows between unbounded preceding and current row
            ) as bigint
        ) as applied_minor
    from known_lines
    left join paid
        on known_lines.original = paid.original and known_lines.claim_currency = paid.claim_currency
    left join posted
        on known_lines.original = posted.original_reference and known_lines.claim_currency = posted.currency
    left join failed
        on known_lines.original = failed.original and known_lines.claim_currency = failed.claim_currency
    where known_lines.is_settled and known_lines.line_type in ('refund', 'chargeback', 'chargeback_reversal')

)

select * from final
