"""Gathers what is published about one movement of money, in one statement and so of one moment; telling it is story's.

It starts from a provider reference, or from the id of an intent, transaction, ledger entry, settlement line or
callback, and follows it to all of these, matches, exceptions, decisions, closeouts and events. Does not belong here:
words, order.
"""

import json
from collections import defaultdict
from typing import Any, Final

from zentra_pipeline.published import lake
from zentra_pipeline.settings import TenantPaths

Rows = dict[str, list[dict[str, Any]]]

# A match of more legs (a batch) is told without following each of them.
_FOLLOWED_LEGS: Final = 20
# Instants come out as in the event log: with microseconds, so that their order as text is their order in time.
_INSTANT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"

_SQL: Final = f"""
with asked as (select cast($1 as varchar) as reference, cast($2 as varchar) as provider),

scope as (
    select runs.run_id, runs.provider from runs cross join asked
    where asked.provider is null or runs.provider = asked.provider
),

lines as (
    select rows.* from settlement_lines as rows cross join asked
    where asked.provider is null or rows.provider = asked.provider
),

entries as (
    select rows.* from ledger_entries as rows cross join asked
    where asked.provider is null or rows.provider = asked.provider
),

deliveries as (
    select rows.* from callbacks as rows cross join asked
    where asked.provider is null or rows.provider = asked.provider
),

-- The provider references that the id leads to, and the id itself where it is one.
roots as (
    select cast($1 as varchar) as reference
    union
    select provider_reference from lines where line_id = $1 and provider_reference <> ''
    union
    select provider_reference from entries
    where (transaction_id = $1 or intent_id = $1 or entry_id = $1) and provider_reference <> ''
    union
    select provider_reference from deliveries where provider_event_id = $1 and provider_reference <> ''
),

own_lines as (
    select distinct lines.provider, lines.line_id, lines.merchant_reference from lines
    where lines.line_id = $1
        or lines.provider_reference in (select reference from roots)
        or lines.original_reference in (select reference from roots)
),

-- What lines and callbacks of this reference call the movement by: a transaction or an intent.
links as (
    select provider, merchant_reference as link from own_lines where merchant_reference <> ''
    union
    select provider, merchant_reference from deliveries
    where merchant_reference <> ''
        and (provider_event_id = $1 or provider_reference in (select reference from roots))
),

own_transactions as (
    select distinct provider, transaction_id from entries
    where transaction_id = $1 or intent_id = $1 or entry_id = $1
        or provider_reference in (select reference from roots)
    union
    select distinct entries.provider, entries.transaction_id from entries
    inner join links on entries.provider = links.provider
        and (entries.transaction_id = links.link or entries.intent_id = links.link)
),

own_items as (
    select provider, 'settlement_line' as leg_type, line_id as leg_id from own_lines
    union
    select provider, 'ledger_transaction', transaction_id from own_transactions
),

legs as (
    select scope.provider, match_legs.match_id, match_legs.leg_type, match_legs.leg_id
    from match_legs inner join scope on match_legs.run_id = scope.run_id
),

own_matches as (
    select distinct legs.provider, legs.match_id from legs inner join own_items using (provider, leg_type, leg_id)
),

sized_matches as (
    select own_matches.provider, own_matches.match_id, count(*) as legs
    from own_matches inner join legs using (provider, match_id)
    group by own_matches.provider, own_matches.match_id
),

items as (
    select provider, leg_type, leg_id from own_items
    union
    select legs.provider, legs.leg_type, legs.leg_id
    from legs inner join sized_matches using (provider, match_id) where sized_matches.legs <= {_FOLLOWED_LEGS}
),

story_entries as (
    select entries.* from entries inner join items
    on entries.provider = items.provider and entries.transaction_id = items.leg_id
    where items.leg_type = 'ledger_transaction'
),

names as (
    select provider, transaction_id as name from story_entries
    union
    select provider, intent_id from story_entries where intent_id <> ''
    union
    select provider, link from links
    union
    select internal_events.provider, internal_events.intent_id from internal_events cross join asked
    where internal_events.intent_id = $1 and (asked.provider is null or internal_events.provider = asked.provider)
),

story_callbacks as (
    select distinct deliveries.* from deliveries left join names
    on deliveries.provider = names.provider and deliveries.merchant_reference = names.name
    left join items on deliveries.provider = items.provider and deliveries.provider_event_id = items.leg_id
        and items.leg_type = 'callback'
    where deliveries.provider_event_id = $1
        or deliveries.provider_reference in (select reference from roots)
        or names.name is not null or items.leg_id is not null
),

subjects as (
    select provider, leg_type as subject_type, leg_id as subject_id from items
    union
    select provider, 'callback', provider_event_id from story_callbacks
),

story_exceptions as (
    select scope.provider, exceptions.* from exceptions inner join scope on exceptions.run_id = scope.run_id
    where exceptions.provider_reference in (select reference from roots)
        or (scope.provider, exceptions.subject_type, exceptions.subject_id) in (from subjects)
        or (scope.provider, exceptions.match_id) in (select (provider, match_id) from own_matches)
),

story_matches as (
    select own_matches.provider, matches.* from matches inner join own_matches using (match_id)
),

-- What a later revision withdrew is in no table any more; the log still has it.
withdrawn as (
    select subject from events
    where event_type in ('reconciliation.match.reversed', 'reconciliation.exception.opened')
        and data ->> '$.provider_reference' in (select reference from roots) and run_id in (select run_id from scope)
),

told as (
    select exception_id as subject from story_exceptions
    union
    select match_id from own_matches
    union
    select subject from withdrawn
),

story_events as (
    select events.* from events inner join told using (subject)
),

story_runs as (
    select run_id from story_matches union select reversed_run_id from story_matches
    union
    select run_id from story_exceptions union select resolved_run_id from story_exceptions
),

found as (
    select 'line' as kind, to_json(t) as content from (
        select lines.* replace (strftime(settled_at, '{_INSTANT}') as settled_at) from lines inner join items
        on lines.provider = items.provider and lines.line_id = items.leg_id
        where items.leg_type = 'settlement_line') as t
    union all
    select 'entry', to_json(t) from (
        select * replace (strftime(posted_at, '{_INSTANT}') as posted_at) from story_entries) as t
    union all
    select 'callback', to_json(t) from (
        select * replace (strftime(received_at, '{_INSTANT}') as received_at,
            strftime(occurred_at, '{_INSTANT}') as occurred_at) from story_callbacks) as t
    union all
    select 'internal_event', to_json(t) from (
        select distinct rows.* replace (strftime(rows.occurred_at, '{_INSTANT}') as occurred_at)
        from internal_events as rows inner join names
        on rows.provider = names.provider and (rows.intent_id = names.name or rows.transaction_id = names.name)) as t
    union all
    select 'match', to_json(t) from (
        select * replace (strftime(review_cutoff_at, '{_INSTANT}') as review_cutoff_at) from story_matches) as t
    union all
    select 'leg', to_json(t) from (
        select distinct legs.* from legs inner join sized_matches using (provider, match_id)
        where sized_matches.legs <= {_FOLLOWED_LEGS}) as t
    union all
    select 'size', to_json(sized_matches) from sized_matches
    union all
    select 'exception', to_json(t) from (
        select * exclude (candidates) replace (strftime(due_at, '{_INSTANT}') as due_at,
            strftime(opened_at, '{_INSTANT}') as opened_at) from story_exceptions) as t
    union all
    select 'decision', to_json(t) from (
        select decisions.* replace (strftime(decided_at, '{_INSTANT}') as decided_at)
        from decisions inner join told on decisions.exception_id = told.subject) as t
    union all
    select 'closeout', to_json(t) from (
        select * replace (strftime(sealed_at, '{_INSTANT}') as sealed_at,
            strftime(prepared_at, '{_INSTANT}') as prepared_at)
        from closeouts where run_id in (select run_id from story_runs where run_id is not null)) as t
    union all
    select 'event', to_json(t) from (
        select * replace (strftime(event_time, '{_INSTANT}') as event_time) from story_events) as t
)

select kind, content from found order by kind, content
"""


def gather(paths: TenantPaths, reference: str, provider: str | None) -> Rows:
    """Rows by kind (line, entry, callback, internal_event, match, leg, size, exception, decision, closeout, event).

    Values are as JSON has them, instants UTC text with microseconds. No rows when the reference or id is unknown.
    """
    rows: Rows = defaultdict(list)
    for kind, content in lake.query(paths, _SQL, [reference, provider]).rows:
        rows[kind].append(json.loads(content))
    return rows
