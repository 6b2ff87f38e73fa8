-- Grain: a batch (batch_id, currency) of which this run's file brings a line or takes one away, with the payout that states its
-- total and what its rows add up to, in whatever files they came. Only what settled counts. Without a payout there is nothing to
-- add up, nor without other rows, unless they are in another batch by now: then the payout is of nothing.
-- Providers write the payout as what leaves the balance or as what arrives at the bank: its sign says nothing.

with lines as (

    select * from {{ ref('int_settlement_lines') }}
    where batch_id <> '' and settlement_status = 'settled'

),

deliveries as (

    select * from {{ ref('stg_settlement_lines') }}

),

restatements as (

    select * from {{ ref('int_restatements') }}

),

earlier_runs as (

    select distinct settlement_file from {{ source('earlier', 'runs') }}

),

seen_lines as (

    select line_id from {{ ref('int_settlement_lines') }}

),

batches_left as (

    select distinct
        batch_before as batch_id,
        currency
    from restatements
    where batch_before <> ''

),

batches_here as (

    select distinct
        lines.batch_id,
        lines.currency
    from lines
    left join restatements on lines.line_id = restatements.line_id
    where lines.is_line_in_file and (not lines.is_seen_before or restatements.batch_after is not null)

    union

    select
        batch_id,
        currency
    from batches_left

),

payout_batches as (

    select
        batches_here.batch_id,
        batches_here.currency
    from batches_here
    inner join lines
        on
            batches_here.batch_id = lines.batch_id
            and batches_here.currency = lines.currency
            and lines.line_type = 'payout'

    union

    select
        batches_here.batch_id,
        batches_here.currency
    from batches_here
    inner join deliveries
        on
            batches_here.batch_id = deliveries.batch_id
            and batches_here.currency = deliveries.currency
            and deliveries.batch_id <> ''
            and deliveries.line_type = 'payout'
    inner join earlier_runs on deliveries.settlement_file = earlier_runs.settlement_file

),

named_lines as (

    select distinct deliveries.line_id
    from deliveries
    inner join earlier_runs on deliveries.settlement_file = earlier_runs.settlement_file
    inner join payout_batches
        on deliveries.batch_id = payout_batches.batch_id and deliveries.currency = payout_batches.currency

),

-- A line belongs to the batch that was named last; its content is its last delivery.
earlier_deliveries as (

    select
        deliveries.*,
        row_number() over (
            partition by deliveries.line_id
            order by deliveries.file_sequence desc nulls last, deliveries.row_number desc nulls last
        ) as age_rank,
        row_number() over (
            partition by deliveries.line_id
            order by
                coalesce(deliveries.batch_id, '') <> '' desc nulls last,
                deliveries.file_sequence desc nulls last,
                deliveries.row_number desc nulls last
        ) as batch_rank
    from deliveries
    inner join earlier_runs on deliveries.settlement_file = earlier_runs.settlement_file
    inner join named_lines on deliveries.line_id = named_lines.line_id

),

earlier_lines as (

    select
        content.line_id,
        content.line_type,
        content.settlement_status,
        content.provider_reference,
        named.batch_id,
        content.currency,
        content.gross_minor,
        content.fee_minor,
        content.net_minor
    from earlier_deliveries as content
    inner join earlier_deliveries as named on content.line_id = named.line_id and named.batch_rank = 1
    inner join payout_batches
        on named.batch_id = payout_batches.batch_id and content.currency = payout_batches.currency
    where content.age_rank = 1

),

batch_lines as (

    select
        lines.line_id,
        lines.line_type,
        lines.provider_reference,
        lines.batch_id,
        lines.currency,
        lines.gross_minor - lines.fee_minor - lines.net_minor as off_minor,
        lines.net_minor
    from lines
    inner join payout_batches
        on lines.batch_id = payout_batches.batch_id and lines.currency = payout_batches.currency

    union all

    select
        earlier_lines.line_id,
        earlier_lines.line_type,
        earlier_lines.provider_reference,
        earlier_lines.batch_id,
        earlier_lines.currency,
        earlier_lines.gross_minor - earlier_lines.fee_minor - earlier_lines.net_minor as off_minor,
        earlier_lines.net_minor
    from earlier_lines
    left join seen_lines on earlier_lines.line_id = seen_lines.line_id
    where earlier_lines.settlement_status = 'settled' and seen_lines.line_id is null

),

sums as (

    select
        batch_id,
        currency,
        cast(sum(case when line_type = 'payout' then 1 else 0 end) as bigint) as payouts,
        cast(sum(case when line_type = 'payout' then 0 else 1 end) as bigint) as other_lines,
        cast(sum(case when line_type = 'payout' then net_minor else 0 end) as bigint) as payout_minor,
        cast(sum(case when line_type = 'payout' then 0 else net_minor end) as bigint) as lines_minor,
        min(case when line_type = 'payout' then line_id end) as payout_line_id
    from batch_lines
    group by batch_id, currency

),

final as (

    select
        sums.batch_id,
        sums.currency,
        sums.payout_line_id,
        payout_lines.provider_reference,
        sums.payout_minor,
        sums.lines_minor,
        sums.other_lines,
        case
            when (sums.payout_minor < 0) = (sums.lines_minor < 0) then sums.lines_minor - sums.payout_minor
            else sums.lines_minor + sums.payout_minor
        end as difference_minor,
        payout_lines.off_minor = 0 as is_payout_line_right
    from sums
    inner join batch_lines as payout_lines
        on
            sums.payout_line_id = payout_lines.line_id
            and sums.batch_id = payout_lines.batch_id
            and sums.currency = payout_lines.currency
    left join batches_left on sums.batch_id = batches_left.batch_id and sums.currency = batches_left.currency
    where sums.payouts > 0 and (sums.other_lines > 0 or batches_left.batch_id is not null)

)

select * from final
