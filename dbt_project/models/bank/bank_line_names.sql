-- Grain: a line, a provider whose pattern names it, and a reference that the pattern's group takes from its text. A text may name
-- several payouts; `place` is 1 for the first that it names.

with terms as (

    select * from {{ source('bank', 'terms') }}
    where bank_reference_pattern <> ''

),

lines as (

    select distinct
        line_id,
        currency,
        coalesce(text, '') as text
    from {{ ref('bank_line_rows') }}

),

named as (

    select
        lines.line_id,
        lines.currency,
        terms.provider,
        regexp_extract_all(lines.text, terms.bank_reference_pattern, 1) as found
    from lines
    inner join terms on {{ has_match('lines.text', 'terms.bank_reference_pattern') }}

),

each_reference as (

    select
        line_id,
        currency,
        provider,
        {{ each_of('found', 'reference', 'place') }}
    from named

),

final as (

    select
        line_id,
        currency,
        provider,
        reference,
        cast(min(place) as bigint) as place
    from each_reference
    group by line_id, currency, provider, reference

)

select * from final
