-- Grain: an exception this run opened, or one an earlier run opened and this run changes: to the amounts that hold now, or to
-- resolved, as matched_late where what it waited for has come, as superseded where its reason is another by now or its match is
-- gone. The id derives from tenant, provider, type, subject and occurrence, never from the run. Exceptions that stay open
-- unchanged are not repeated: readers take the newest published state of each.

with scope as (

    select * from {{ source('run', 'scope') }}

),

earlier as (

    select * from {{ ref('int_earlier_exceptions') }}

),

unresolved as (

    select * from {{ ref('int_earlier_exceptions') }}
    where is_last_occurrence and status <> 'resolved'

),

judged as (

    select * from {{ ref('int_exceptions_judged') }}

),

opened as (

    select * from {{ ref('int_exceptions_opened') }}

),

found_ids as (

    select * from {{ ref('int_exceptions_named') }}

),

settled as (

    select * from {{ ref('int_exceptions_settled') }}

),

superseded as (

    select * from {{ ref('int_exceptions_superseded') }}

),

-- Items of one side that a decision matched with each other: no counterpart has come, late or not.
one_sided as (

    select match_id
    from {{ ref('int_matches') }}
    where cardinality in ('none_to_many', 'many_to_none')

),

written_off as (

    select * from {{ ref('int_open_items') }}
    where is_written_off

),

ended as (

    select
        exception_id,
        match_id,
        'matched_late' as resolution,
        cast(null as varchar) as superseded_by,
        'matched late' as how
    from settled

    union all

    select
        superseded.exception_id,
        cast(null as varchar) as match_id,
        'superseded' as resolution,
        superseded.superseded_by,
        'superseded' || coalesce(' by ' || found_ids.exception_type || ' ' || superseded.superseded_by, '') as how
    from superseded
    left join found_ids on superseded.superseded_by = found_ids.exception_id
    left join settled on superseded.exception_id = settled.exception_id
    where settled.exception_id is null

),

resolved as (

    select
        earlier.exception_id,
        earlier.run_id,
        earlier.exception_type,
        earlier.severity,
        earlier.subject_type,
        earlier.subject_id,
        earlier.provider_reference,
        earlier.currency,
        earlier.amount_minor,
        earlier.difference_minor,
        earlier.owner,
        earlier.lane,
        'resolved' as status,
        earlier.due_at,
        earlier.opened_at,
        case when one_sided.match_id is not null then 'matched_manually' else ended.resolution end as resolution,
        ended.superseded_by,
        earlier.explanation || '; '
        || case when one_sided.match_id is not null then 'matched by decision' else ended.how end
        || ' by run ' || scope.run_id || ' of window '
        || cast(scope.ledger_window as varchar) as explanation,
        earlier.candidates,
        earlier.occurrence,
        earlier.previous_exception_id,
        coalesce(ended.match_id, earlier.match_id) as match_id,
        earlier.is_blocking,
        earlier.settlement_file,
        earlier.ledger_window,
        scope.run_id as resolved_run_id
    from earlier
    inner join ended on earlier.exception_id = ended.exception_id
    left join one_sided on ended.match_id = one_sided.match_id
    cross join scope
    where earlier.status <> 'resolved'

),

-- What this run writes off shows the amount written off, whatever the run that opened it says by now.
shown as (

    select * from unresolved

    union all

    select earlier.*
    from earlier
    inner join written_off on earlier.exception_id = written_off.exception_id
    where earlier.is_last_occurrence and earlier.status = 'resolved' and earlier.resolution = 'written_off'

),

-- What stays open shows what holds now. Decisions lie over it as over what was opened: it is published as open.
changed as (

    select
        shown.exception_id,
        shown.run_id,
        shown.exception_type,
        shown.severity,
        shown.subject_type,
        shown.subject_id,
        judged.provider_reference,
        shown.currency,
        judged.amount_minor,
        judged.difference_minor,
        shown.published_owner as owner,
        shown.published_lane as lane,
        'open' as status,
        shown.due_at,
        shown.opened_at,
        cast(null as varchar) as resolution,
        cast(null as varchar) as superseded_by,
        judged.explanation
        || case
            when shown.previous_exception_id is not null then '; it was resolved before as ' || shown.previous_exception_id
            else ''
        end as explanation,
        shown.candidates,
        shown.occurrence,
        shown.previous_exception_id,
        judged.match_id,
        shown.is_blocking,
        shown.settlement_file,
        shown.ledger_window,
        cast(null as varchar) as resolved_run_id
    from shown
    inner join judged on shown.exception_id = judged.last_exception_id
    where judged.is_other_amount or coalesce(judged.match_id, '') <> coalesce(shown.match_id, '')

),

final as (

    select * exclude (is_undone)
    from opened
    union all
    select * from changed
    union all
    select * from resolved

)

select * from final
