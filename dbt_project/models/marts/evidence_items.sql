-- Grain: a line with its movement, a line or movement alone, or a callback nothing answers: one row of the evidence that a
-- closeout seals, before its owner is known. In a group the n-th line is beside the n-th movement, and the first of
-- the shorter side beside the rest, so that every line and movement is listed; a match of one side has a row for each item.
-- `missing` names what keeps a row from being audit ready. Internal to runs.

with scope as (

    select * from {{ source('run', 'scope') }}

),

matches as {{ read_where_used() }} (

    select * from {{ ref('int_matches') }}

),

outcomes as {{ read_where_used() }} (

    select * from {{ ref('int_unpaired_outcomes') }}
    where disposition = 'matched'

),

open_items as (

    select * from {{ ref('int_open_items') }}

),

lines as {{ read_where_used() }} (

    select * from {{ ref('int_settlement_lines') }}

),

line_deliveries as (

    select * from {{ ref('stg_settlement_lines') }}

),

transactions as (

    select * from {{ ref('int_transactions') }}

),

match_line_types as (

    select * from {{ source('run', 'match_line_types') }}

),

zero_lines as (

    select * from {{ ref('int_zero_lines') }}

),

intents as (

    select * from {{ ref('int_intents') }}

),

callback_state as (

    select * from {{ ref('int_match_callback_state') }}
    where not is_earlier

),

callback_states as (

    select * from {{ ref('int_callback_states') }}

),

unmatched_callbacks as (

    select * from {{ ref('three_way') }}
    where match_id is null and provider_event_id is not null

),

group_matches as (

    select
        match_id,
        currency,
        provider_reference,
        lines,
        movements
    from matches
    where cardinality <> 'one_to_one'

),

groups as (

    select
        outcomes.match_id,
        outcomes.item_type,
        outcomes.item_id,
        row_number() over (
            partition by outcomes.match_id, outcomes.item_type
            order by outcomes.sort_at asc nulls last, outcomes.item_id asc nulls last
        ) as place,
        case when outcomes.item_type = 'settlement_line' then group_matches.lines else group_matches.movements end as places
    from outcomes
    inner join group_matches on outcomes.match_id = group_matches.match_id

),

group_pairs as (

    select
        group_lines.match_id,
        group_lines.item_id as line_id,
        group_movements.item_id as transaction_id
    from groups as group_lines
    inner join groups as group_movements
        on
            group_lines.match_id = group_movements.match_id
            and group_lines.item_type = 'settlement_line'
            and group_movements.item_type = 'ledger_transaction'
            and (
                group_lines.place = group_movements.place
                or (group_lines.place = 1 and group_lines.places < group_movements.place)
                or (group_movements.place = 1 and group_lines.place > group_movements.places)
            )

),

matched as (

    select
        match_id,
        first_line_id as line_id,
        first_transaction_id as transaction_id,
        currency,
        provider_reference
    from matches
    where cardinality = 'one_to_one'

    union all

    select
        group_pairs.match_id,
        group_pairs.line_id,
        group_pairs.transaction_id,
        group_matches.currency,
        group_matches.provider_reference
    from group_pairs
    inner join group_matches on group_pairs.match_id = group_matches.match_id

    union all

    select
        groups.match_id,
        case when groups.item_type = 'settlement_line' then groups.item_id end as line_id,
        case when groups.item_type = 'ledger_transaction' then groups.item_id end as transaction_id,
        group_matches.currency,
        group_matches.provider_reference
    from groups
    inner join group_matches on groups.match_id = group_matches.match_id
    where group_matches.lines = 0 or group_matches.movements = 0

),

-- Lines of a type that needs no movement, unless their batch matched as a whole, and lines of nothing that nothing answers.
accounted as (

    select
        lines.line_id,
        lines.currency
    from lines
    left join match_line_types on lines.line_type = match_line_types.line_type
    left join outcomes
        on lines.line_id = outcomes.item_id and outcomes.item_type = 'settlement_line'
    where match_line_types.line_type is null and not lines.is_seen_before and outcomes.item_id is null

    union all

    select
        line_id,
        currency
    from zero_lines

),

all_rows as (

    select
        matched.match_id,
        matched.line_id,
        matched.transaction_id,
        matched.currency,
        matched.provider_reference,
        coalesce(callback_state.last_success_event_id, callback_state.last_event_id) as provider_event_id
    from matched
    left join callback_state on matched.match_id = callback_state.match_id

    union all

    select
        cast(null as varchar) as match_id,
        case when open_items.item_type = 'settlement_line' then open_items.item_id end as line_id,
        case when open_items.item_type = 'ledger_transaction' then open_items.item_id end as transaction_id,
        open_items.currency,
        open_items.provider_reference,
        unmatched_callbacks.provider_event_id
    from open_items
    left join unmatched_callbacks
        on
            open_items.item_id = coalesce(unmatched_callbacks.line_id, unmatched_callbacks.transaction_id)
            and open_items.currency = unmatched_callbacks.currency
            and (open_items.item_type = 'settlement_line') = (unmatched_callbacks.line_id is not null)

    union all

    select
        cast(null as varchar) as match_id,
        accounted.line_id,
        cast(null as varchar) as transaction_id,
        accounted.currency,
        lines.provider_reference,
        cast(null as varchar) as provider_event_id
    from accounted
    left join lines on accounted.line_id = lines.line_id

    union all

    select
        cast(null as varchar) as match_id,
        cast(null as varchar) as line_id,
        cast(null as varchar) as transaction_id,
        currency,
        provider_reference,
        provider_event_id
    from callback_states
    where not has_one_payload

    union all

    select
        cast(null as varchar) as match_id,
        cast(null as varchar) as line_id,
        cast(null as varchar) as transaction_id,
        currency,
        provider_reference,
        provider_event_id
    from unmatched_callbacks
    where line_id is null and transaction_id is null

),

-- The files of lines that this run does not read again: of matches it takes back, and of fees.
items_elsewhere as (

    select
        item_id,
        {{ line_id_of('outcomes') }} as line_id
    from outcomes
    where item_type = 'settlement_line' and (released_from_match_id is not null or is_fee)

    union all

    select
        item_id,
        {{ fee_line_id('item_id') }} as line_id
    from open_items
    where is_fee

),

returned_lines as (

    select
        items_elsewhere.item_id as line_id,
        min(line_deliveries.file_id) as settlement_file
    from items_elsewhere
    inner join line_deliveries on items_elsewhere.line_id = line_deliveries.line_id
    group by items_elsewhere.item_id

),

found as (

    select
        all_rows.match_id,
        all_rows.line_id,
        all_rows.transaction_id,
        all_rows.currency,
        all_rows.provider_event_id,
        nullif(coalesce(nullif(all_rows.provider_reference, ''), lines.provider_reference), '') as provider_reference,
        coalesce(lines.settlement_file, returned_lines.settlement_file) as settlement_file,
        transactions.first_clearing_entry_id as ledger_entry,
        nullif(transactions.intent_id, '') as intent_id,
        case
            when all_rows.provider_event_id is null then null
            when callback_states.signature_verified then 'verified'
            when not callback_states.signature_verified then 'refused'
            else 'not_checked'
        end as signature
    from all_rows
    left join lines on all_rows.line_id = lines.line_id
    left join returned_lines on all_rows.line_id = returned_lines.line_id
    left join transactions
        on all_rows.transaction_id = transactions.transaction_id and all_rows.currency = transactions.currency
    left join callback_states on all_rows.provider_event_id = callback_states.provider_event_id

),

described as (

    select
        found.*,
        coalesce(intents.actor, scope.owner) as actor,
        coalesce(nullif(intents.actor_scope, ''), scope.tenant_id || '/' || scope.provider) as actor_scope,
        nullif(intents.policy, '') as policy,
        nullif(intents.policy_result, '') as policy_result,
        case when nullif(intents.policy_result, '') is not null then intents.occurred_at end as evidence_at,
        nullif(
            concat_ws(
                ', ',
                case when found.provider_reference is null then 'provider_reference' end,
                case when found.settlement_file is null then 'settlement_file' end,
                case when found.ledger_entry is null then 'ledger_entry' end,
                case when found.intent_id is null then 'intent' end,
                case when nullif(intents.actor, '') is null then 'actor' end,
                case when nullif(intents.actor_scope, '') is null then 'scope' end,
                case when nullif(intents.policy_result, '') is null then 'policy_result' end,
                case when found.signature is distinct from 'verified' then 'signature' end
            ),
            ''
        ) as missing
    from found
    cross join scope
    left join intents on found.intent_id = intents.intent_id

),

final as (

    select
        scope.run_id,
        described.provider_reference,
        described.settlement_file,
        described.ledger_entry,
        described.line_id,
        described.transaction_id,
        described.currency,
        described.match_id,
        described.provider_event_id,
        described.actor,
        described.actor_scope,
        described.policy,
        described.policy_result,
        described.intent_id,
        described.signature,
        case when described.missing is null then 'audit_ready' else 'incomplete' end as evidence_status,
        described.missing,
        described.evidence_at
    from described
    cross join scope

)

select * from final
