-- Grain: an answer of the provider about a movement, as runs took it in: callbacks and lines that share a match with the movement, and
-- callbacks that a run found for the movement before it had a line. Conflicting callbacks are in neither. Where other movements share
-- the match, a callback is the intent's when it names it. They come in the order in which runs weigh them: those that carry a
-- reference of the match after all others, then time, sequence, rank of the status, id. Parameters: $1 provider, $2 transaction, $3 intent.
with own_runs as (
    select
        run_id,
        revision,
        actor
    from runs
    where provider = $1
),

own_matches as (
    select distinct
        matches.match_id,
        matches.run_id,
        matches.cardinality in ('one_to_one', 'many_to_one') as is_sole_movement
    from matches
    inner join match_legs on matches.match_id = match_legs.match_id
    inner join own_runs on matches.run_id = own_runs.run_id
    where match_legs.leg_type = 'ledger_transaction' and match_legs.leg_id = $2 and matches.status = 'confirmed'
),

legs as (
    select distinct
        match_legs.leg_type,
        match_legs.leg_id,
        own_matches.match_id,
        match_legs.run_id,
        own_matches.is_sole_movement
    from match_legs
    inner join own_matches on match_legs.match_id = own_matches.match_id
    where match_legs.leg_type in ('callback', 'settlement_line')

    union

    select
        'callback' as leg_type,
        three_way.provider_event_id as leg_id,
        null as match_id,
        three_way.run_id,
        true as is_sole_movement
    from three_way
    inner join own_runs on three_way.run_id = own_runs.run_id
    where three_way.transaction_id = $2 and three_way.match_id is null and three_way.provider_event_id is not null
),

matched as (
    select
        subject,
        min(event_time) as event_time
    from events
    where event_type = 'reconciliation.match.created'
    group by subject
),

own_references as (
    select distinct lines.provider_reference as reference
    from legs
    inner join settlement_lines as lines on legs.leg_id = lines.line_id and lines.provider = $1
    where legs.leg_type = 'settlement_line' and lines.provider_reference <> ''
    union
    select ledger_entries.provider_reference as reference
    from ledger_entries
    where ledger_entries.provider = $1 and ledger_entries.transaction_id = $2 and ledger_entries.provider_reference <> ''
),

answers as (
    select
        legs.leg_type,
        legs.leg_id,
        legs.match_id,
        legs.run_id,
        callbacks.status,
        callbacks.signature_verified,
        callbacks.occurred_at,
        callbacks.sequence,
        callbacks.received_at as answered_at,
        callbacks.provider_reference,
        callbacks.file_id,
        callbacks.file_sha256,
        callbacks.row_number,
        own_references.reference is not null as is_by_reference
    from legs
    inner join callbacks on legs.leg_id = callbacks.provider_event_id and callbacks.provider = $1
    left join own_references on callbacks.provider_reference = own_references.reference
    where legs.leg_type = 'callback' and (legs.is_sole_movement or callbacks.merchant_reference in ($2, $3))

    union all

    select
        legs.leg_type,
        legs.leg_id,
        legs.match_id,
        legs.run_id,
        'settled' as status,
        null as signature_verified,
        null as occurred_at,
        null as sequence,
        coalesce(matched.event_time, lines.settled_at) as answered_at,
        lines.provider_reference,
        lines.file_id,
        lines.file_sha256,
        lines.row_number,
        true as is_by_reference
    from legs
    inner join settlement_lines as lines on legs.leg_id = lines.line_id and lines.provider = $1
    left join matched on legs.match_id = matched.subject
    where legs.leg_type = 'settlement_line'
)

select
    answers.*,
    own_runs.revision,
    own_runs.actor
from answers
inner join own_runs on answers.run_id = own_runs.run_id
order by
    answers.leg_type, answers.is_by_reference, answers.occurred_at nulls last, answers.sequence nulls first,
    list_position(['pending', 'failed', 'succeeded', 'disputed', 'reversed'], answers.status) nulls first,
    answers.leg_id, answers.answered_at, answers.file_id, answers.row_number, answers.match_id nulls last, answers.run_id
