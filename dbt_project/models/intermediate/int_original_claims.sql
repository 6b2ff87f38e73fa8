-- Grain: a settled refund, chargeback or reversal (a claim) that refers to an original of which this run sees a claim, or the original
-- itself, whose total may have changed. Claims of earlier runs are judged too. Claims are in order, each with the amount applied to the
-- original up to and including it. A blank reference makes no claim.
-- `original_minor` is the total of the original's settled payment lines, else of its movements; 0 where all that is known is a
-- payment line that failed, null where nothing is. A line that repeats another adds nothing.

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

outcomes as (

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

    select distinct
        deliveries.original_reference,
        deliveries.currency
    from deliveries
    inner join earlier_runs on deliveries.settlement_file = earlier_runs.settlement_file
    where
        deliveries.line_type in ('refund', 'chargeback', 'chargeback_reversal')
        and deliveries.original_reference <> ''

),

claims_here as (

    select
        original_reference,
        currency
    from lines
    where
        not is_seen_before
        and settlement_status = 'settled'
        and line_type in ('refund', 'chargeback', 'chargeback_reversal')
        and original_reference <> ''

    union

    select
        earlier_claims.original_reference,
        earlier_claims.currency
    from earlier_claims
    inner join lines
        on earlier_claims.original_reference = lines.provider_reference and earlier_claims.currency = lines.currency
    where lines.line_type = 'payment' and not lines.is_seen_before

    union

    select
        earlier_claims.original_reference,
        earlier_claims.currency
    from earlier_claims
    inner join movements
        on
            earlier_claims.original_reference = movements.provider_reference
            and earlier_claims.currency = movements.currency

    union

    select
        earlier_claims.original_reference,
        earlier_claims.currency
    from earlier_claims
    inner join returned
        on earlier_claims.original_reference = returned.provider_reference and earlier_claims.currency = returned.currency

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
            deliveries.currency = claims_here.currency
            and (
                case when deliveries.line_type = 'payment' then deliveries.provider_reference else deliveries.original_reference end
            ) = claims_here.original_reference

),

known_lines as (

    select
        line_id,
        line_type,
        provider_reference,
        original_reference,
        currency,
        gross_minor,
        settled_at,
        not is_seen_before as is_here
    from lines
    where settlement_status = 'settled'

    union all

    select
        related_deliveries.line_id,
        related_deliveries.line_type,
        related_deliveries.provider_reference,
        related_deliveries.original_reference,
        related_deliveries.currency,
        related_deliveries.gross_minor,
        related_deliveries.settled_at,
        false as is_here
    from related_deliveries
    left join lines on related_deliveries.line_id = lines.line_id
    where
        related_deliveries.age_rank = 1
        and related_deliveries.settlement_status = 'settled'
        and lines.line_id is null

),

paid as (

    select
        known_lines.provider_reference as original_reference,
        known_lines.currency,
        cast(sum(known_lines.gross_minor) as bigint) as paid_minor
    from known_lines
    inner join claims_here
        on
            known_lines.provider_reference = claims_here.original_reference
            and known_lines.currency = claims_here.currency
    left join duplicates on known_lines.line_id = duplicates.line_id and known_lines.currency = duplicates.currency
    where known_lines.line_type = 'payment' and duplicates.line_id is null
    group by known_lines.provider_reference, known_lines.currency

),

-- A payment that failed is known, and nothing of it can be taken back.
failed as (

    select
        lines.provider_reference as original_reference,
        lines.currency
    from lines
    where lines.line_type = 'payment' and lines.settlement_status <> 'settled'

    union

    select
        provider_reference as original_reference,
        currency
    from related_deliveries
    where age_rank = 1 and line_type = 'payment' and settlement_status <> 'settled'

),

posted as (

    select
        transactions.provider_reference as original_reference,
        transactions.currency,
        cast(sum(transactions.clearing_minor) as bigint) as posted_minor
    from transactions
    inner join claims_here
        on
            transactions.provider_reference = claims_here.original_reference
            and transactions.currency = claims_here.currency
    group by transactions.provider_reference, transactions.currency

),

final as (

    select
        known_lines.line_id,
        known_lines.line_type,
        known_lines.provider_reference,
        known_lines.original_reference,
        known_lines.currency,
        known_lines.gross_minor,
        known_lines.is_here,
        coalesce(
            paid.paid_minor, posted.posted_minor, case when failed.original_reference is not null then cast(0 as bigint) end
        ) as original_minor,
        cast(
            sum(-known_lines.gross_minor) over (
                partition by known_lines.original_reference, known_lines.currency
                order by known_lines.settled_at asc nulls last, known_lines.line_id asc nulls last
                rows between unbounded preceding and current row
            ) as bigint
        ) as applied_minor
    from known_lines
    inner join claims_here
        on
            known_lines.original_reference = claims_here.original_reference
            and known_lines.currency = claims_here.currency
    left join paid
        on known_lines.original_reference = paid.original_reference and known_lines.currency = paid.currency
    left join posted
        on known_lines.original_reference = posted.original_reference and known_lines.currency = posted.currency
    left join failed
        on known_lines.original_reference = failed.original_reference and known_lines.currency = failed.currency
    where known_lines.line_type in ('refund', 'chargeback', 'chargeback_reversal')

)

select * from final
