-- Grain: a line and the movement that has its provider_reference, where class, currency and amount agree and nothing else of the
-- class bears the reference: the pass `exact_reference` matches the two at once. Nearly every movement is a row of this kind; all
-- other items (int_unpaired_items) go through the passes, which would come to the same for these.
-- So whatever is out of the ordinary is left to them: what operators wrote off or matched, what is compared in another currency, fees
-- posted separately, and references that lines of earlier runs, failed lines or earlier matches bear as well.

with scope as (

    select * from {{ source('run', 'scope') }}

),

profile as (

    select * from {{ source('run', 'profile') }}

),

match_line_types as (

    select * from {{ source('run', 'match_line_types') }}

),

reference_keys as (

    select * from {{ source('run', 'reference_keys') }}

),

lines as {{ read_where_used() }} (

    select * from {{ ref('int_settlement_lines') }}
    where provider_reference <> ''

),

movements as {{ read_where_used() }} (

    select * from {{ ref('int_movements') }}
    where provider_reference <> '' and line_class is not null

),

presented_lines as (

    select * from {{ ref('int_presented_lines') }}

),

decided as (

    select
        item_id,
        currency
    from {{ source('run', 'write_offs') }}

    union all

    select
        item_id,
        currency
    from {{ ref('int_pass_manual') }}

),

shared as (

    select
        provider_reference,
        line_type as line_class
    from lines
    group by provider_reference, line_type
    having count(*) > 1

    union all

    select
        provider_reference,
        line_class
    from movements
    group by provider_reference, line_class
    having count(*) > 1

    union all

    select
        provider_reference,
        'fee' as line_class
    from {{ ref('int_fee_items') }}

    union all

    select
        provider_reference,
        own_class as line_class
    from {{ ref('int_earlier_matched_items') }}

),

pairs as (

    select
        lines.provider_reference,
        reference_keys.normalized_reference,
        lines.currency,
        movements.line_class,
        movements.amount_minor,
        lines.line_id,
        lines.merchant_reference,
        lines.settled_at,
        lines.opened_window as line_opened_window,
        lines.is_carried as is_line_carried,
        movements.transaction_id,
        movements.intent_id,
        movements.posted_at,
        movements.opened_window as movement_opened_window,
        movements.is_carried as is_movement_carried
    from lines
    cross join profile
    inner join match_line_types on lines.line_type = match_line_types.line_type
    inner join movements
        on
            lines.provider_reference = movements.provider_reference
            and lines.line_type = movements.line_class
            and lines.currency = movements.currency
            and {{ line_amount('lines', 'profile') }} = movements.amount_minor
    left join reference_keys on lines.provider_reference = reference_keys.reference
    left join shared on lines.provider_reference = shared.provider_reference and lines.line_type = shared.line_class
    left join presented_lines on lines.line_id = presented_lines.line_id
    left join decided as decided_lines on lines.line_id = decided_lines.item_id and lines.currency = decided_lines.currency
    left join decided as decided_movements
        on movements.transaction_id = decided_movements.item_id and movements.currency = decided_movements.currency
    where
        not lines.is_seen_before
        and lines.settlement_status = 'settled'
        and shared.provider_reference is null
        and presented_lines.line_id is null
        and decided_lines.item_id is null
        and decided_movements.item_id is null

),

final as (

    select
        {{ match_id(
            'exact_reference', 'pairs.provider_reference', 'pairs.currency', 'pairs.line_class',
            "'1:1:' || cast(pairs.amount_minor as varchar)", 'pairs.line_id', 'pairs.transaction_id'
        ) }} as match_id,
        pairs.*
    from pairs
    cross join scope

)

select * from final
