-- Grain: an internal event of an intent as an ingested file states it. Parameter: $1 intent.
select
    provider,
    event_id,
    stage,
    actor,
    scope,
    policy,
    policy_result,
    occurred_at,
    transaction_id,
    file_id,
    file_sha256,
    row_number
from internal_events
where intent_id = $1
order by occurred_at, event_id, file_id, row_number
