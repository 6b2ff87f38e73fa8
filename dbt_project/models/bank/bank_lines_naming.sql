-- Grain: a line and a payout that it names, and how: `trace` (its bank reference or end-to-end id is the payout's trace id, or
-- the payout's id), `text` (the payout's statement text, or the pattern's group, names it or its batch) or `total` (a text
-- that several payouts share, and one of them, or all that its provider pays in one credit, come to the line).
-- Where a line names something by trace, only that counts. A payout that was sent again is named by trace or id, no longer by its batch.

with rows as (

    select * from {{ ref('bank_line_rows') }}

),

payouts as (

    select * from {{ ref('bank_payouts_known') }}

),

names as (

    select * from {{ ref('bank_line_names') }}

),

lines as (

    select
        line_id,
        currency,
        min(booked_on) as booked_on,
        min(amount_minor) as amount_minor,
        max(coalesce(bank_reference, '')) as bank_reference,
        max(coalesce(end_to_end_id, '')) as end_to_end_id,
        max({{ plain_text("coalesce(text, '')") }}) as plain_text
    from rows
    group by line_id, currency

),

references_of_lines as (

    select
        line_id,
        currency,
        bank_reference as reference
    from lines
    where bank_reference <> ''

    union

    select
        line_id,
        currency,
        end_to_end_id as reference
    from lines
    where end_to_end_id <> ''

),

references_of_payouts as (

    select
        name,
        trace_id as reference
    from payouts
    where trace_id <> ''

    union

    select
        name,
        payout_id as reference
    from payouts

    union

    select
        name,
        line_id as reference
    from payouts
    where line_id <> ''

),

by_trace as (

    select distinct
        references_of_lines.line_id,
        references_of_lines.currency,
        references_of_payouts.name
    from references_of_lines
    inner join references_of_payouts on references_of_lines.reference = references_of_payouts.reference

),

names_of_payouts as (

    select
        provider,
        name,
        payout_id as reference
    from payouts

    union

    select
        provider,
        name,
        line_id as reference
    from payouts
    where line_id <> ''

    union

    select
        provider,
        name,
        trace_id as reference
    from payouts
    where trace_id <> ''

    union

    select
        provider,
        name,
        batch_id as reference
    from payouts
    where batch_id <> '' and not (is_returned and is_retried)

    union

    select
        provider,
        name,
        statement_text as reference
    from payouts
    where statement_text <> '' and not (is_returned and is_retried)

),

names_as_written as (

    select distinct
        names.line_id,
        names.currency,
        names.reference,
        names_of_payouts.name
    from names
    inner join names_of_payouts
        on names.provider = names_of_payouts.provider and names.reference = names_of_payouts.reference
    where names.reference <> ''

),

plain_names as (

    select
        provider,
        name,
        {{ plain_text('reference') }} as plain_reference
    from names_of_payouts

),

-- Banks write texts in capitals and without marks: where nothing is called just so, the same words count.
by_pattern as (

    select
        line_id,
        currency,
        name
    from names_as_written

    union

    select
        names.line_id,
        names.currency,
        plain_names.name
    from names
    inner join plain_names
        on names.provider = plain_names.provider and {{ plain_text('names.reference') }} = plain_names.plain_reference
    left join names_as_written
        on
            names.line_id = names_as_written.line_id
            and names.currency = names_as_written.currency
            and names.reference = names_as_written.reference
    where names_as_written.line_id is null and trim(plain_names.plain_reference) <> ''

),

texts as (

    select
        provider,
        currency,
        statement_text,
        count(distinct group_key) as payout_groups
    from payouts
    where statement_text <> '' and not is_returned
    group by provider, currency, statement_text

),

text_groups as (

    select
        payouts.provider,
        payouts.currency,
        payouts.statement_text,
        payouts.group_key,
        texts.payout_groups,
        min(payouts.paid_on) as paid_on,
        max(coalesce(payouts.expected_to, payouts.paid_on)) as expected_to,
        cast(sum(payouts.amount_minor) as bigint) as amount_minor,
        max({{ plain_text('payouts.statement_text') }}) as plain_text
    from payouts
    inner join texts
        on
            payouts.provider = texts.provider
            and payouts.currency = texts.currency
            and payouts.statement_text = texts.statement_text
    where not payouts.is_returned
    group by payouts.provider, payouts.currency, payouts.statement_text, payouts.group_key, texts.payout_groups

),

-- Only what is near in time is compared text by text.
texts_named as (

    select
        lines.line_id,
        lines.currency,
        text_groups.provider,
        text_groups.currency as payout_currency,
        text_groups.statement_text,
        text_groups.group_key,
        text_groups.payout_groups,
        lines.amount_minor = text_groups.amount_minor
        and lines.currency = text_groups.currency
        and lines.booked_on >= text_groups.paid_on
        and lines.booked_on <= text_groups.expected_to + 10 as is_total
    from lines
    inner join text_groups
        on lines.booked_on between text_groups.paid_on - 10 and text_groups.paid_on + 60
    where trim(text_groups.plain_text) <> '' and strpos(lines.plain_text, text_groups.plain_text) > 0

),

totals as (

    select
        line_id,
        currency
    from texts_named
    where payout_groups > 1 and is_total
    group by line_id, currency
    having count(*) = 1

),

by_text as (

    select distinct
        texts_named.line_id,
        texts_named.currency,
        payouts.name,
        case when texts_named.payout_groups = 1 then 'text' else 'total' end as means
    from texts_named
    left join totals on texts_named.line_id = totals.line_id and texts_named.currency = totals.currency
    inner join payouts
        on
            texts_named.provider = payouts.provider
            and texts_named.payout_currency = payouts.currency
            and texts_named.statement_text = payouts.statement_text
            and texts_named.group_key = payouts.group_key
            and not payouts.is_returned
    where texts_named.payout_groups = 1 or (totals.line_id is not null and texts_named.is_total)

),

found as (

    select
        line_id,
        currency,
        name,
        'trace' as means,
        1 as means_rank
    from by_trace

    union all

    select
        line_id,
        currency,
        name,
        'text' as means,
        2 as means_rank
    from by_pattern

    union all

    select
        line_id,
        currency,
        name,
        means,
        case when means = 'text' then 2 else 3 end as means_rank
    from by_text

),

best as (

    select
        line_id,
        currency,
        min(means_rank) as means_rank
    from found
    group by line_id, currency

),

final as (

    select
        found.line_id,
        found.currency,
        found.name,
        min(found.means) as means
    from found
    inner join best
        on found.line_id = best.line_id and found.currency = best.currency and found.means_rank = best.means_rank
    group by found.line_id, found.currency, found.name

)

select * from final
