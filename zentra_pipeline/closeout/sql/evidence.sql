-- Grain: a row of evidence that a closeout seals, with its leaf (RFC 8785: keys in the order of their names).
-- Parameter: $1 the run.
create table evidence as
with owners as (
    select
        items.rowid as item,
        own_exceptions.owner
    from items
    inner join own_exceptions on items.line_id = own_exceptions.subject_id
    where own_exceptions.subject_type = 'settlement_line'
    union
    select
        items.rowid as item,
        own_exceptions.owner
    from items
    inner join own_exceptions
        on
            items.transaction_id = own_exceptions.subject_id
            and items.currency = coalesce(own_exceptions.currency, items.currency)
    where
        own_exceptions.subject_type = 'ledger_transaction'
        -- What a callback answered before the run was judged as it is sealed is nobody's: the root is that of one look.
        and not (
            own_exceptions.exception_type = 'missing_callback'
            and coalesce(own_exceptions.resolution, '') = 'matched_late'
            and coalesce(own_exceptions.resolved_run_id, '') = $1
        )
    union
    select
        items.rowid as item,
        own_exceptions.owner
    from items
    inner join own_exceptions on items.provider_event_id = own_exceptions.subject_id
    where own_exceptions.subject_type = 'callback'
    union
    select
        items.rowid as item,
        own_exceptions.owner
    from items
    inner join match_legs on items.match_id = match_legs.match_id
    inner join own_exceptions on match_legs.leg_id = own_exceptions.subject_id
    where match_legs.leg_type = 'callback' and own_exceptions.subject_type = 'callback'
),

owned as (
    select
        owners.item,
        string_agg(owners.owner, ', ' order by owners.owner) as exception_owner
    from owners
    group by owners.item
),

evidence_rows as (
    select
        items.* exclude (run_id, run_sequence, actor_scope), -- noqa: RF02
        items.actor_scope as scope,
        owned.exception_owner,
        'sealed' as closeout_status,
        cast($1 as varchar) as run_id
    from items
    left join owned on items.rowid = owned.item
)

select
    evidence_rows.*,
    cast(to_json({
        'actor': actor,
        'closeout_status': closeout_status,
        'evidence_status': evidence_status,
        'exception_owner': exception_owner,
        'intent_id': intent_id,
        'ledger_entry': ledger_entry,
        'policy': policy,
        'provider_reference': provider_reference,
        'run_id': run_id,
        'scope': scope,
        'settlement_file': settlement_file,
        'signature': signature
    }) as varchar) as leaf
from evidence_rows
