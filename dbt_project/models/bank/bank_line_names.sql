-- Grain: a line and the provider whose pattern names it, with the reference that the pattern's group takes from its text.

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

final as (

    select
        lines.line_id,
        lines.currency,
        terms.provider,
        max(regexp_extract(lines.text, terms.bank_reference_pattern, 1)) as reference
    from lines
    inner join terms on regexp_matches(lines.text, terms.bank_reference_pattern)
    group by lines.line_id, lines.currency, terms.provider

)

select * from final
