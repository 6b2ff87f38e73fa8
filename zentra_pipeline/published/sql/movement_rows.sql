-- Grain: a row that belongs to one movement of money, as `kind` and its JSON. Parameters: $1 a reference or id, $2 a provider or null,
-- $3 the format of instants, $4 the most legs of a match that are followed.
with asked as (
    select
        cast($1 as varchar) as reference,
        cast($2 as varchar) as provider
),

scope as (
    select
        runs.run_id,
        runs.provider
    from runs cross join asked
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
    select provider_reference from lines
    where line_id = $1 and provider_reference <> ''
    union
    select provider_reference from entries
    where (transaction_id = $1 or intent_id = $1 or entry_id = $1) and provider_reference <> ''
    union
    select provider_reference from deliveries
    where provider_event_id = $1 and provider_reference <> ''
),

own_lines as (
    select distinct
        lines.provider,
        lines.line_id,
        lines.merchant_reference
    from lines
    where
        lines.line_id = $1
        or lines.provider_reference in (select roots.reference from roots)
        or lines.original_reference in (select roots.reference from roots)
),

-- What lines and callbacks of this reference call the movement by: a transaction or an intent.
links as (
    select
        provider,
        merchant_reference as link
    from own_lines
    where merchant_reference <> ''
    union
    select
        provider,
        merchant_reference
    from deliveries
    where
        merchant_reference <> ''
        and (provider_event_id = $1 or provider_reference in (select roots.reference from roots))
),

own_transactions as (
    select distinct
        provider,
        transaction_id
    from entries
    where
        transaction_id = $1 or intent_id = $1 or entry_id = $1
        or provider_reference in (select roots.reference from roots)
    union
    select distinct
        entries.provider,
        entries.transaction_id
    from entries
    inner join links on
        entries.provider = links.provider
        and (entries.transaction_id = links.link or entries.intent_id = links.link)
),

own_items as (
    select
        provider,
        'settlement_line' as leg_type,
        line_id as leg_id
    from own_lines
    union
    select
        provider,
        'ledger_transaction' as leg_type,
        transaction_id as leg_id
    from own_transactions
),

legs as (
    select
        scope.provider,
        match_legs.match_id,
        match_legs.leg_type,
        match_legs.leg_id
    from match_legs inner join scope on match_legs.run_id = scope.run_id
),

own_matches as (
    select distinct
        legs.provider,
        legs.match_id
    from legs
    inner join own_items on legs.provider = own_items.provider and legs.leg_type = own_items.leg_type and legs.leg_id = own_items.leg_id
),

sized_matches as (
    select
        own_matches.provider,
        own_matches.match_id,
        count(*) as legs
    from own_matches inner join legs on own_matches.provider = legs.provider and own_matches.match_id = legs.match_id
    group by own_matches.provider, own_matches.match_id
),

items as (
    select
        provider,
        leg_type,
        leg_id
    from own_items
    union
    select
        legs.provider,
        legs.leg_type,
        legs.leg_id
    from legs inner join sized_matches on legs.provider = sized_matches.provider and legs.match_id = sized_matches.match_id
    where sized_matches.legs <= $4
),

story_entries as (
    select entries.* from entries inner join items
        on entries.provider = items.provider and entries.transaction_id = items.leg_id
    where items.leg_type = 'ledger_transaction'
),

names as (
    select
        provider,
        transaction_id as name
    from story_entries
    union
    select
        provider,
        intent_id
    from story_entries
    where intent_id <> ''
    union
    select
        provider,
        link
    from links
    union
    select
        internal_events.provider,
        internal_events.intent_id
    from internal_events cross join asked
    where internal_events.intent_id = $1 and (asked.provider is null or internal_events.provider = asked.provider)
),

story_callbacks as (
    select distinct deliveries.* from deliveries left join names
        on deliveries.provider = names.provider and deliveries.merchant_reference = names.name
    left join items
        on
            deliveries.provider = items.provider and deliveries.provider_event_id = items.leg_id
            and items.leg_type = 'callback'
    where
        deliveries.provider_event_id = $1
        or deliveries.provider_reference in (select roots.reference from roots)
        or names.name is not null or items.leg_id is not null
),

subjects as (
    select
        provider,
        leg_type as subject_type,
        leg_id as subject_id
    from items
    union
    select
        provider,
        'callback' as subject_type,
        provider_event_id as subject_id
    from story_callbacks
),

story_exceptions as (
    select
        scope.provider,
        exceptions.*
    from exceptions inner join scope on exceptions.run_id = scope.run_id
    where
        exceptions.provider_reference in (select roots.reference from roots)
        or (scope.provider, exceptions.subject_type, exceptions.subject_id) in (from subjects)
        or (scope.provider, exceptions.match_id) in (select (own_matches.provider, own_matches.match_id) from own_matches)
),

story_matches as (
    select
        own_matches.provider,
        matches.*
    from matches inner join own_matches on matches.match_id = own_matches.match_id
),

-- What a later revision withdrew is in no table any more; the log still has it.
withdrawn as (
    select subject from events
    where
        event_type in ('reconciliation.match.reversed', 'reconciliation.exception.opened')
        and data ->> '$.provider_reference' in (select roots.reference from roots) and run_id in (select scope.run_id from scope)
),

opened as (
    select exception_id as subject from story_exceptions
    union
    select match_id from own_matches
    union
    select subject from withdrawn
),

story_events as (
    select events.* from events inner join opened on events.subject = opened.subject
),

story_runs as (
    select run_id from story_matches
    union
    select reversed_run_id from story_matches
    union
    select run_id from story_exceptions
    union
    select resolved_run_id from story_exceptions
),

found as (
    select
        'line' as kind,
        to_json(t) as content
    from (
        select lines.* replace (strftime(lines.settled_at, $3) as settled_at) from lines inner join items
            on lines.provider = items.provider and lines.line_id = items.leg_id
        where items.leg_type = 'settlement_line'
    ) as t
    union all
    select
        'entry' as kind,
        to_json(t) as content
    from (
        select * replace (strftime(posted_at, $3) as posted_at) from story_entries
    ) as t
    union all
    select
        'callback' as kind,
        to_json(t) as content
    from (
        select * replace (
            strftime(received_at, $3) as received_at,
            strftime(occurred_at, $3) as occurred_at
        ) from story_callbacks
    ) as t
    union all
    select
        'internal_event' as kind,
        to_json(t) as content
    from (
        select distinct rows.* replace (strftime(rows.occurred_at, $3) as occurred_at)
        from internal_events as rows inner join names
            on rows.provider = names.provider and (rows.intent_id = names.name or rows.transaction_id = names.name)
    ) as t
    union all
    select
        'match' as kind,
        to_json(t) as content
    from (
        select * replace (strftime(review_cutoff_at, $3) as review_cutoff_at) from story_matches
    ) as t
    union all
    select
        'leg' as kind,
        to_json(t) as content
    from (
        select distinct legs.*
        from legs
        inner join sized_matches on legs.provider = sized_matches.provider and legs.match_id = sized_matches.match_id
        where sized_matches.legs <= $4
    ) as t
    union all
    select
        'size' as kind,
        to_json(sized_matches) as content
    from sized_matches
    union all
    select
        'exception' as kind,
        to_json(t) as content
    from (
        select
            * exclude (candidates)
            replace (strftime(due_at, $3) as due_at, strftime(opened_at, $3) as opened_at)
        from story_exceptions
    ) as t
    union all
    select
        'decision' as kind,
        to_json(t) as content
    from (
        select decisions.* replace (strftime(decisions.decided_at, $3) as decided_at)
        from decisions inner join opened on decisions.exception_id = opened.subject
    ) as t
    union all
    select
        'closeout' as kind,
        to_json(t) as content
    from (
        select
            * replace (
                strftime(sealed_at, $3) as sealed_at,
                strftime(prepared_at, $3) as prepared_at
            )
        from closeouts
        where run_id in (
            select story_runs.run_id from story_runs
            where story_runs.run_id is not null
        )
    ) as t
    union all
    select
        'event' as kind,
        to_json(t) as content
    from (
        select * replace (strftime(event_time, $3) as event_time) from story_events
    ) as t
)

select
    kind,
    content
from found
order by kind, content
