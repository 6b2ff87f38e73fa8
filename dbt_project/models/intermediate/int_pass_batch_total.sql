-- Grain: an item earlier passes left over, and every line of a batch that matches as a whole; what `batch_total` made of it.
-- A movement bears a batch when its reference is the batch id. The batch matches when exactly one free movement bears it, none
-- of its lines is matched, set aside or written off, and the net of its settled lines other than payouts is the movement. Class
-- plays no part. Lines of the batch that earlier runs accounted for (fees, adjustments) are legs too: `is_batch_line` marks them.
-- Fees that are posted separately are legs beside their lines, which then count without them: no fee counts twice. Where they are
-- not, a fee movement that bears the batch is for the free fees of its lines, and another is for the lines without their fees.

with scope as (

    select * from {{ source('run', 'scope') }}

),

previous as (

    select * from {{ ref('int_pass_callback_bridge') }}

),

manual as (

    select * from {{ ref('int_pass_manual') }}

),

pairs as (

    select * from {{ ref('int_pass_exact_pairs') }}

),

exact_reference as (

    select * from {{ ref('int_pass_exact_reference') }}

),

normalized_reference as (

    select * from {{ ref('int_pass_normalized_reference') }}

),

internal_reference as (

    select * from {{ ref('int_pass_internal_reference') }}

),

lines as (

    select * from {{ ref('int_settlement_lines') }}

),

deliveries as (

    select * from {{ ref('stg_settlement_lines') }}

),

earlier_runs as (

    select * from {{ source('earlier', 'runs') }}

),

earlier_legs as (

    select legs.*
    from {{ ref('int_earlier_legs') }} as legs
    left join {{ ref('int_reversed_matches') }} as reversed on legs.match_id = reversed.match_id
    where legs.leg_type = 'settlement_line' and reversed.match_id is null

),

written_off as (

    select item_id from {{ source('run', 'write_offs') }}
    where item_type = 'settlement_line'
    union
    select item_id from {{ ref('stg_earlier_write_offs') }}
    where item_type = 'settlement_line'

),

items as (

    select * from previous
    where disposition in ('free', 'ambiguous')

),

batch_movements as (

    select
        provider_reference as batch_id,
        currency,
        item_id as transaction_id,
        amount_minor,
        line_class
    from items
    where item_type = 'ledger_transaction' and provider_reference <> ''

),

borne_batches as (

    select distinct
        batch_id,
        currency
    from batch_movements

),

-- Lines of batches that a movement names: what this run sees, and what the files of earlier runs hold of the same batch.
seen_lines as (

    select
        lines.line_id,
        lines.batch_id,
        lines.currency,
        lines.line_type,
        lines.provider_reference,
        lines.merchant_reference,
        lines.gross_minor,
        lines.fee_minor,
        lines.net_minor,
        lines.settled_at,
        lines.settlement_status,
        lines.is_seen_before
    from lines
    inner join borne_batches
        on lines.batch_id = borne_batches.batch_id and lines.currency = borne_batches.currency

),

lines_of_batches as (

    select distinct deliveries.line_id
    from deliveries
    inner join earlier_runs on deliveries.settlement_file = earlier_runs.settlement_file
    inner join borne_batches
        on deliveries.batch_id = borne_batches.batch_id and deliveries.currency = borne_batches.currency

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
    inner join lines_of_batches on deliveries.line_id = lines_of_batches.line_id

),

earlier_lines as (

    select
        content.line_id,
        named.batch_id,
        content.currency,
        content.line_type,
        content.provider_reference,
        content.merchant_reference,
        content.gross_minor,
        content.fee_minor,
        content.net_minor,
        content.settled_at,
        content.settlement_status
    from earlier_deliveries as content
    inner join earlier_deliveries as named on content.line_id = named.line_id and named.batch_rank = 1
    inner join borne_batches
        on named.batch_id = borne_batches.batch_id and content.currency = borne_batches.currency
    where content.age_rank = 1

),

visible_lines as (

    select line_id from lines

),

batch_lines as (

    select
        *,
        is_seen_before as is_earlier
    from seen_lines

    union all

    select
        earlier_lines.*,
        true as is_seen_before,
        true as is_earlier
    from earlier_lines
    left join visible_lines on earlier_lines.line_id = visible_lines.line_id
    where visible_lines.line_id is null

),

settled_lines as (

    select * from batch_lines
    where settlement_status = 'settled' and line_type <> 'payout'

),

taken as (

    select item_id as line_id from manual
    where item_type = 'settlement_line'
    union
    select pairs.line_id
    from pairs
    inner join settled_lines on pairs.line_id = settled_lines.line_id
    union
    select item_id as line_id from exact_reference
    where item_type = 'settlement_line' and disposition in ('matched', 'duplicate')
    union
    select item_id as line_id from normalized_reference
    where item_type = 'settlement_line' and disposition in ('matched', 'duplicate')
    union
    select item_id as line_id from internal_reference
    where item_type = 'settlement_line' and disposition in ('matched', 'duplicate')
    union
    select item_id as line_id from previous
    where item_type = 'settlement_line' and disposition in ('matched', 'duplicate')
    union
    select leg_id as line_id from earlier_legs
    union
    select item_id as line_id from written_off

),

-- The fee items of these lines: free ones, and those that another match has taken.
free_fees as (

    select
        items.item_id,
        items.amount_minor,
        settled_lines.line_id,
        settled_lines.batch_id,
        settled_lines.currency
    from items
    inner join settled_lines
        on
            {{ fee_line_id('items.item_id') }} = settled_lines.line_id
            and items.currency = settled_lines.currency
    where items.is_fee

),

separate_fees as (

    select
        line_id,
        amount_minor,
        true as is_free
    from free_fees

    union all

    select
        settled_lines.line_id,
        -settled_lines.fee_minor as amount_minor,
        false as is_free
    from settled_lines
    inner join taken on {{ fee_item_id('settled_lines.line_id') }} = taken.line_id
    where settled_lines.fee_minor <> 0

),

-- A line with what it counts for in its batch: its net, or its net without the fee that is an item of its own.
counted_lines as (

    select
        settled_lines.*,
        settled_lines.net_minor - coalesce(separate_fees.amount_minor, cast(0 as bigint)) as leg_minor,
        coalesce(separate_fees.is_free, false) as has_free_fee,
        not coalesce(separate_fees.is_free, true) as has_taken_fee,
        coalesce(separate_fees.amount_minor, cast(0 as bigint)) as separate_minor
    from settled_lines
    left join separate_fees on settled_lines.line_id = separate_fees.line_id

),

batches as (

    select
        counted_lines.batch_id,
        counted_lines.currency,
        cast(count(*) as bigint) as lines,
        cast(sum(counted_lines.net_minor) as bigint) as net_minor,
        cast(sum(counted_lines.leg_minor) as bigint) as lines_minor,
        cast(sum(case when counted_lines.has_free_fee then counted_lines.separate_minor else 0 end) as bigint) as fees_minor,
        cast(sum(case when counted_lines.has_free_fee then 1 else 0 end) as bigint) as fees,
        cast(sum(case when counted_lines.has_taken_fee then 1 else 0 end) as bigint) as taken_fees,
        cast(sum(case when taken.line_id is null then 0 else 1 end) as bigint) as taken_lines,
        min(counted_lines.line_id) as first_line_id
    from counted_lines
    left join taken on counted_lines.line_id = taken.line_id
    group by counted_lines.batch_id, counted_lines.currency

),

-- What a movement of the batch may stand for, with the movements that bear the batch and are of a kind to.
parts as (

    select
        batches.*,
        'whole' as part,
        batches.net_minor as part_minor
    from batches
    where batches.taken_lines = 0 and batches.taken_fees = 0

    union all

    select
        batches.*,
        'lines' as part,
        batches.lines_minor as part_minor
    from batches
    where batches.taken_lines = 0 and batches.fees + batches.taken_fees > 0

    union all

    select
        batches.*,
        'fees' as part,
        batches.fees_minor as part_minor
    from batches
    where batches.fees > 0

),

batch_candidates as (

    select
        parts.batch_id,
        parts.currency,
        parts.part,
        parts.part_minor,
        parts.lines,
        parts.first_line_id,
        cast(count(*) as bigint) as movements,
        cast(sum(case when batch_movements.amount_minor = parts.part_minor then 1 else 0 end) as bigint) as equal_movements,
        min(batch_movements.transaction_id) as transaction_id
    from batch_movements
    inner join parts
        on
            batch_movements.batch_id = parts.batch_id
            and batch_movements.currency = parts.currency
            and (parts.part = 'whole' or (parts.part = 'fees') = (coalesce(batch_movements.line_class, '') = 'fee'))
    group by parts.batch_id, parts.currency, parts.part, parts.part_minor, parts.lines, parts.first_line_id

),

whole_batches as (

    select
        batch_id,
        currency
    from batch_candidates
    where part = 'whole' and movements = 1 and equal_movements = 1

),

matched_batches as (

    select
        batch_candidates.*,
        case when batch_candidates.part = 'fees' then 'fee' else 'batch' end as match_class,
        {{ match_id(
            'batch_total', 'batch_candidates.batch_id', 'batch_candidates.currency',
            "case when batch_candidates.part = 'fees' then 'fee' else 'batch' end",
            "cast(batch_candidates.lines as varchar) || ':' || cast(batch_candidates.part_minor as varchar)",
            'batch_candidates.first_line_id', 'batch_candidates.transaction_id'
        ) }} as match_id
    from batch_candidates
    cross join scope
    left join whole_batches
        on batch_candidates.batch_id = whole_batches.batch_id and batch_candidates.currency = whole_batches.currency
    where
        batch_candidates.movements = 1
        and batch_candidates.equal_movements = 1
        and (batch_candidates.part = 'whole' or whole_batches.batch_id is null)

),

matched_lines as (

    select
        counted_lines.*,
        matched_batches.match_id,
        matched_batches.match_class
    from counted_lines
    inner join matched_batches
        on
            counted_lines.batch_id = matched_batches.batch_id
            and counted_lines.currency = matched_batches.currency
            and matched_batches.part <> 'fees'

),

matched_fees as (

    select
        free_fees.item_id,
        free_fees.currency,
        matched_batches.match_id,
        matched_batches.match_class
    from free_fees
    inner join matched_batches
        on
            free_fees.batch_id = matched_batches.batch_id
            and free_fees.currency = matched_batches.currency
            and matched_batches.part <> 'lines'

),

-- Two movements that both equal the batch: nothing distinguishes them.
tied_items as (

    select distinct settled_lines.line_id as item_id
    from settled_lines
    inner join batch_candidates
        on settled_lines.batch_id = batch_candidates.batch_id and settled_lines.currency = batch_candidates.currency
    where batch_candidates.equal_movements > 1 and batch_candidates.part <> 'fees'

    union

    select distinct free_fees.item_id
    from free_fees
    inner join batch_candidates
        on free_fees.batch_id = batch_candidates.batch_id and free_fees.currency = batch_candidates.currency
    where batch_candidates.equal_movements > 1 and batch_candidates.part = 'fees'

),

outcomes as (

    select
        {{ item_columns('items') }},
        items.was_ambiguous or tied_items.item_id is not null as was_ambiguous,
        case
            when coalesce(matched_lines.match_id, matched_fees.match_id, matched_batches.match_id) is not null then 'matched'
            else 'free'
        end as disposition,
        coalesce(matched_lines.match_id, matched_fees.match_id, matched_batches.match_id) as match_id,
        coalesce(matched_lines.match_class, matched_fees.match_class, matched_batches.match_class) as match_class,
        coalesce(matched_lines.leg_minor, items.amount_minor) as leg_minor,
        false as is_batch_line
    from items
    left join matched_lines
        on items.item_type = 'settlement_line' and not items.is_fee and items.item_id = matched_lines.line_id
    left join matched_fees on items.is_fee and items.item_id = matched_fees.item_id and items.currency = matched_fees.currency
    left join matched_batches
        on
            items.item_type = 'ledger_transaction'
            and items.item_id = matched_batches.transaction_id
            and items.currency = matched_batches.currency
            and items.provider_reference = matched_batches.batch_id
    left join tied_items on items.item_type = 'settlement_line' and items.item_id = tied_items.item_id

    union all

    select
        'settlement_line' as item_type,
        matched_lines.line_id as item_id,
        matched_lines.currency,
        matched_lines.line_type as line_class,
        matched_lines.gross_minor as amount_minor,
        matched_lines.currency as compared_currency,
        matched_lines.gross_minor as compared_minor,
        matched_lines.provider_reference,
        matched_lines.provider_reference as normalized_reference,
        matched_lines.merchant_reference,
        cast(null as varchar) as intent_id,
        matched_lines.settled_at as sort_at,
        cast(null as date) as opened_window,
        false as is_carried,
        cast(null as varchar) as released_from_match_id,
        false as is_fee,
        false as was_ambiguous,
        'matched' as disposition,
        matched_lines.match_id,
        matched_lines.match_class,
        matched_lines.leg_minor,
        true as is_batch_line
    from matched_lines
    left join items on items.item_type = 'settlement_line' and not items.is_fee and matched_lines.line_id = items.item_id
    where items.item_id is null

)

select * from outcomes
