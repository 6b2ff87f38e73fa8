-- Grain: an unmatched line's or movement's exception that this run opened, and a match pass: what the pass looked for on the other
-- side, in which windows, how many items it examined there, and what came of it.
-- Movements are examined for a line, lines for a movement. Counted per key, never paired.

with scope as (

    select * from {{ source('run', 'scope') }}

),

profile as (

    select * from {{ source('run', 'profile') }}

),

windows as (

    select * from {{ source('run', 'windows') }}

),

window_days as (

    select * from {{ source('run', 'window_days') }}

),

currencies as (

    select * from {{ ref('currencies') }}

),

lines as (

    select * from {{ ref('int_settlement_lines') }}

),

events as (

    select
        provider_reference,
        merchant_reference
    from {{ ref('int_callback_states') }}
    where has_one_payload and provider_reference <> '' and merchant_reference <> ''

),

opened as (

    select
        exceptions.exception_id,
        exceptions.subject_type,
        exceptions.subject_id,
        exceptions.currency
    from {{ ref('exceptions') }} as exceptions
    inner join scope on exceptions.run_id = scope.run_id
    inner join {{ ref('exception_types') }} as exception_types
        on exceptions.exception_type = exception_types.exception_type and exception_types.has_candidates

),

subjects as (

    select
        opened.exception_id,
        items.item_type,
        items.item_id,
        items.currency,
        items.line_class,
        items.amount_minor,
        items.compared_currency,
        items.compared_minor,
        items.sort_at,
        nullif(items.provider_reference, '') as provider_reference,
        nullif(items.normalized_reference, '') as normalized_reference,
        nullif(items.merchant_reference, '') as merchant_reference,
        nullif(items.intent_id, '') as intent_id,
        nullif(lines.batch_id, '') as batch_id,
        case items.item_type when 'settlement_line' then 'ledger_transaction' else 'settlement_line' end as other_type
    from opened
    inner join {{ ref('int_unpaired_items') }} as items
        on
            opened.subject_type = items.item_type
            and opened.subject_id = items.item_id
            and opened.currency = items.currency
    left join lines on items.item_type = 'settlement_line' and items.item_id = lines.line_id and items.currency = lines.currency

),

pairs as (

    select * from {{ ref('int_pass_exact_pairs') }}

),

-- Each pass behind the first with what reached it. Everything reaches the first, which is read for what is looked for only.
passes as (

    select
        cast(2 as bigint) as pass_order,
        rule,
        item_type,
        item_id,
        currency,
        line_class,
        amount_minor,
        compared_currency,
        compared_minor,
        provider_reference,
        normalized_reference,
        merchant_reference,
        intent_id,
        disposition,
        was_ambiguous,
        sort_at
    from {{ ref('int_pass_normalized_reference') }}

    union all

    select
        3 as pass_order,
        rule,
        item_type,
        item_id,
        currency,
        line_class,
        amount_minor,
        compared_currency,
        compared_minor,
        provider_reference,
        normalized_reference,
        merchant_reference,
        intent_id,
        disposition,
        was_ambiguous,
        sort_at
    from {{ ref('int_pass_internal_reference') }}

    union all

    select
        4 as pass_order,
        rule,
        item_type,
        item_id,
        currency,
        line_class,
        amount_minor,
        compared_currency,
        compared_minor,
        provider_reference,
        normalized_reference,
        merchant_reference,
        intent_id,
        disposition,
        was_ambiguous,
        sort_at
    from {{ ref('int_pass_callback_bridge') }}

    union all

    select
        5 as pass_order,
        'batch_total' as rule,
        item_type,
        item_id,
        currency,
        line_class,
        amount_minor,
        currency as compared_currency,
        amount_minor as compared_minor,
        provider_reference,
        normalized_reference,
        merchant_reference,
        intent_id,
        disposition,
        was_ambiguous,
        sort_at
    from {{ ref('int_pass_batch_total') }}
    where not is_batch_line

    union all

    select
        6 as pass_order,
        'amount_date' as rule,
        item_type,
        item_id,
        currency,
        line_class,
        amount_minor,
        compared_currency,
        compared_minor,
        provider_reference,
        normalized_reference,
        merchant_reference,
        intent_id,
        disposition,
        was_ambiguous,
        sort_at
    from {{ ref('int_pass_amount_date') }}

),

-- Both sides pass by the same rules.
rules as (

    select
        ordered.item_type,
        ordered.pass_order,
        ordered.rule
    from (
        values
        ('settlement_line', 1, 'exact_reference'),
        ('settlement_line', 2, 'normalized_reference'),
        ('settlement_line', 3, 'internal_reference'),
        ('settlement_line', 4, 'callback_bridge'),
        ('settlement_line', 5, 'batch_total'),
        ('settlement_line', 6, 'amount_date'),
        ('ledger_transaction', 1, 'exact_reference'),
        ('ledger_transaction', 2, 'normalized_reference'),
        ('ledger_transaction', 3, 'internal_reference'),
        ('ledger_transaction', 4, 'callback_bridge'),
        ('ledger_transaction', 5, 'batch_total'),
        ('ledger_transaction', 6, 'amount_date')
    ) as ordered (item_type, pass_order, rule)

),

subject_days as (

    select
        subjects.exception_id,
        window_days.business_day_number
    from subjects
    inner join window_days
        on
            cast(subjects.sort_at as date) = window_days.utc_day
            and subjects.sort_at >= window_days.starts_at
            and subjects.sort_at < window_days.ends_at

),

-- The keys of a subject: one a pass, but for a movement, which is named by its id or its intent.
keys as (

    select
        subjects.exception_id,
        rules.pass_order,
        rules.rule,
        case
            when rules.rule = 'exact_reference' then subjects.provider_reference
            when rules.rule = 'normalized_reference'
                then case when profile.reference_normalizer <> 'none' then subjects.normalized_reference end
            when rules.rule = 'internal_reference' and subjects.item_type = 'settlement_line' then subjects.merchant_reference
            when rules.rule in ('internal_reference', 'callback_bridge') and subjects.item_type = 'ledger_transaction'
                then subjects.item_id
            when rules.rule = 'callback_bridge' then subjects.provider_reference
            when rules.rule = 'batch_total' and subjects.item_type = 'settlement_line' then subjects.batch_id
            when rules.rule = 'batch_total' then subjects.provider_reference
            when profile.amount_date_rule <> 'off' and subjects.compared_minor <> 0 and subjects.line_class is not null
                then {{ money('subjects.compared_minor', 'subjects.compared_currency', 'currencies.exponent') }}
        end as search_key
    from subjects
    cross join profile
    inner join rules on subjects.item_type = rules.item_type
    left join currencies on subjects.compared_currency = currencies.currency

),

named_keys as (

    select
        exception_id,
        pass_order,
        search_key
    from keys
    where search_key is not null

    union

    select
        keys.exception_id,
        keys.pass_order,
        subjects.intent_id as search_key
    from keys
    inner join subjects on keys.exception_id = subjects.exception_id
    where keys.rule in ('internal_reference', 'callback_bridge') and subjects.intent_id is not null

),

-- What a key leads to on the other side: of a bridge, what the callbacks of it carry.
sought as (

    select
        named_keys.exception_id,
        named_keys.pass_order,
        named_keys.search_key as key_there
    from named_keys
    where named_keys.pass_order <> 4 and named_keys.pass_order <> 6

    union

    select
        named_keys.exception_id,
        named_keys.pass_order,
        events.merchant_reference as key_there
    from named_keys
    inner join subjects on named_keys.exception_id = subjects.exception_id
    inner join events on named_keys.search_key = events.provider_reference
    where named_keys.pass_order = 4 and subjects.item_type = 'settlement_line'

    union

    select
        named_keys.exception_id,
        named_keys.pass_order,
        events.provider_reference as key_there
    from named_keys
    inner join subjects on named_keys.exception_id = subjects.exception_id
    inner join events on named_keys.search_key = events.merchant_reference
    where named_keys.pass_order = 4 and subjects.item_type = 'ledger_transaction'

),

wanted_keys as (

    select distinct
        pass_order,
        key_there
    from sought

),

-- By what the items of a pass can be found.
offered as (

    select
        passes.*,
        case
            when pass_order = 2 then nullif(normalized_reference, '')
            when pass_order = 3 and item_type = 'settlement_line' then nullif(merchant_reference, '')
            when pass_order in (3, 4) and item_type = 'ledger_transaction' then item_id
            when pass_order = 4 then nullif(provider_reference, '')
            when pass_order = 5 and item_type = 'ledger_transaction' then nullif(provider_reference, '')
        end as offered_key
    from passes

    union all

    select
        passes.*,
        intent_id as offered_key
    from passes
    where pass_order in (3, 4) and item_type = 'ledger_transaction' and intent_id <> ''

),

named_items as (

    select
        item_type,
        compared_currency,
        line_class,
        provider_reference
    from {{ ref('int_pass_exact_reference') }}

    union all

    select
        'settlement_line' as item_type,
        currency as compared_currency,
        line_class,
        provider_reference
    from pairs

    union all

    select
        'ledger_transaction' as item_type,
        currency as compared_currency,
        line_class,
        provider_reference
    from pairs

),

counted as (

    select
        wanted_keys.pass_order,
        named_items.item_type,
        named_items.compared_currency as currency,
        named_items.line_class,
        wanted_keys.key_there as offered_key,
        cast(count(*) as bigint) as items
    from named_items
    inner join wanted_keys on named_items.provider_reference = wanted_keys.key_there and wanted_keys.pass_order = 1
    group by wanted_keys.pass_order, named_items.item_type, named_items.compared_currency, named_items.line_class, wanted_keys.key_there

    union all

    select
        offered.pass_order,
        offered.item_type,
        offered.compared_currency as currency,
        offered.line_class,
        offered.offered_key,
        cast(count(*) as bigint) as items
    from offered
    inner join wanted_keys on offered.pass_order = wanted_keys.pass_order and offered.offered_key = wanted_keys.key_there
    group by offered.pass_order, offered.item_type, offered.compared_currency, offered.line_class, offered.offered_key

    union all

    -- The settled lines of a batch that a movement bears.
    select
        wanted_keys.pass_order,
        'settlement_line' as item_type,
        lines.currency,
        lines.line_type as line_class,
        wanted_keys.key_there as offered_key,
        cast(count(*) as bigint) as items
    from lines
    inner join wanted_keys on lines.batch_id = wanted_keys.key_there and wanted_keys.pass_order = 5
    where lines.settlement_status = 'settled' and lines.line_type <> 'payout'
    group by wanted_keys.pass_order, lines.currency, lines.line_type, wanted_keys.key_there

),

equal_amounts as (

    select
        passes.item_type,
        passes.compared_currency,
        passes.line_class,
        passes.compared_minor,
        window_days.business_day_number,
        cast(count(*) as bigint) as items
    from passes
    inner join window_days
        on
            cast(passes.sort_at as date) = window_days.utc_day
            and passes.sort_at >= window_days.starts_at
            and passes.sort_at < window_days.ends_at
    where passes.pass_order = 6
    group by passes.item_type, passes.compared_currency, passes.line_class, passes.compared_minor, window_days.business_day_number

),

examined as (

    select
        sought.exception_id,
        sought.pass_order,
        cast(sum(counted.items) as bigint) as items
    from sought
    inner join subjects on sought.exception_id = subjects.exception_id
    inner join counted
        on
            sought.pass_order = counted.pass_order
            and sought.key_there = counted.offered_key
            and subjects.other_type = counted.item_type
            and case sought.pass_order when 5 then subjects.currency else subjects.compared_currency end = counted.currency
            and (sought.pass_order = 5 or subjects.line_class = counted.line_class)
    group by sought.exception_id, sought.pass_order

    union all

    select
        subjects.exception_id,
        6 as pass_order,
        cast(sum(equal_amounts.items) as bigint) as items
    from subjects
    cross join profile
    inner join subject_days on subjects.exception_id = subject_days.exception_id
    inner join equal_amounts
        on
            subjects.other_type = equal_amounts.item_type
            and subjects.compared_currency = equal_amounts.compared_currency
            and subjects.line_class = equal_amounts.line_class
            and subjects.compared_minor = equal_amounts.compared_minor
            and abs(subject_days.business_day_number - equal_amounts.business_day_number) <= profile.settlement_lag_days
    where profile.amount_date_rule <> 'off' and subjects.compared_minor <> 0
    group by subjects.exception_id

),

first_of_side as (

    select
        item_type,
        min(first_at) as first_at
    from (
        select
            item_type,
            sort_at as first_at
        from {{ ref('int_pass_exact_reference') }}

        union all

        select
            'settlement_line' as item_type,
            min(settled_at) as first_at
        from pairs

        union all

        select
            'ledger_transaction' as item_type,
            min(posted_at) as first_at
        from pairs
    ) as sides
    where first_at is not null
    group by item_type

),

side_windows as (

    select
        first_of_side.item_type,
        least(window_days.window_date, scope.ledger_window) as first_window
    from first_of_side
    cross join scope
    inner join window_days
        on
            cast(first_of_side.first_at as date) = window_days.utc_day
            and first_of_side.first_at >= window_days.starts_at
            and first_of_side.first_at < window_days.ends_at

),

lag_windows as (

    select
        subject_days.exception_id,
        min(windows.window_date) as first_window,
        max(windows.window_date) as last_window
    from subject_days
    cross join profile
    cross join scope
    inner join windows
        on
            abs(windows.business_day_number - subject_days.business_day_number) <= profile.settlement_lag_days
            and scope.ledger_window >= windows.window_date
    group by subject_days.exception_id

),

reached as (

    select
        subjects.exception_id,
        cast(1 as bigint) as pass_order,
        exact_reference.disposition,
        exact_reference.was_ambiguous
    from subjects
    inner join {{ ref('int_pass_exact_reference') }} as exact_reference
        on
            subjects.item_type = exact_reference.item_type
            and subjects.item_id = exact_reference.item_id
            and subjects.currency = exact_reference.currency

    union all

    select
        subjects.exception_id,
        passes.pass_order,
        passes.disposition,
        passes.was_ambiguous
    from subjects
    inner join passes
        on
            subjects.item_type = passes.item_type
            and subjects.item_id = passes.item_id
            and subjects.currency = passes.currency

),

final as (

    select
        keys.exception_id,
        scope.run_id,
        keys.rule,
        keys.search_key as searched_key,
        case
            when keys.search_key is null then null
            when keys.rule = 'amount_date' then lag_windows.first_window
            else coalesce(side_windows.first_window, scope.ledger_window)
        end as windows_from,
        case
            when keys.search_key is null then null
            when keys.rule = 'amount_date' then lag_windows.last_window
            else scope.ledger_window
        end as windows_to,
        case when reached.exception_id is null then cast(0 as bigint) else coalesce(examined.items, cast(0 as bigint)) end
            as movements_examined,
        case
            when keys.search_key is null then 'nothing_to_look_for'
            when reached.exception_id is null then 'not_reached'
            when coalesce(examined.items, 0) = 0 then 'not_found'
            when reached.disposition in ('duplicate', 'ambiguous', 'suggested') then reached.disposition
            when keys.rule in ('batch_total', 'amount_date') and reached.was_ambiguous then 'ambiguous'
            else 'not_equal'
        end as result
    from keys
    cross join scope
    inner join subjects on keys.exception_id = subjects.exception_id
    left join examined on keys.exception_id = examined.exception_id and keys.pass_order = examined.pass_order
    left join reached on keys.exception_id = reached.exception_id and keys.pass_order = reached.pass_order
    left join side_windows on subjects.other_type = side_windows.item_type
    left join lag_windows on keys.exception_id = lag_windows.exception_id

)

select * from final
