{# A text for comparison with others: letters and digits of ASCII, lower case, one space between words and around the text. #}
{% macro plain_text(expression) -%}
    ' ' || trim({{ each_match_replaced('lower(' ~ expression ~ ')', '[^0-9a-z]+', ' ') }}) || ' '
{%- endmacro %}

{#
  What a bank line's text says in repeats of its statement: its length, as numbers in it may have been masked in between (privacy.yml).
  Details, of which a repeat may have others, are known by all of it.
#}
{% macro text_in_repeats(line) -%}
    case
        when coalesce({{ line }}.parent_line_id, '') = '' then cast(length(coalesce({{ line }}.text, '')) as varchar)
        else coalesce({{ line }}.text, '')
    end
{%- endmacro %}

{#
  CTE `reached`: each name of `links` (name, linked) with `reference`, the first name that can be reached from it, link by
  link. Names that are linked are few: seven links in a row are followed.
#}
{% macro reached_from(links) %}

{% for step in range(1, 7) %}
reached_{{ step }} as (

    select
        one.name,
        min(other.{{ 'linked' if loop.first else 'reference' }}) as reference
    from {{ links }} as one
    inner join {{ links if loop.first else 'reached_' ~ (step - 1) }} as other on one.linked = other.name
    group by one.name

),
{% endfor %}

reached as (

    select * from reached_6

),

{% endmacro %}

{#
  Sets of two to twelve payouts of one provider that come to a line just so (contract §10.24, `bank_sum`): all subsets of what is
  due in the provider's lag on the line's day, where that is at most twelve payouts. Of more only pairs and the whole are
  looked at, and no set of them is the sole one.

  Needs CTEs `lines_to_explain` (line_id, currency, amount_minor, business_day_number) and `payouts_to_add` (name, provider,
  currency, amount_minor, business_day_number, bank_lag_days), amounts above zero. Gives `sets_of_lines` (line_id, currency, and
  how many sets and which first set there is: provider, subset, line_day) and `due` (the payouts of a set: place is its bit).
#}
{% macro payouts_that_add_up() %}

days_of_lines as (

    select distinct
        currency,
        business_day_number as line_day
    from lines_to_explain

),

due as (

    select
        days_of_lines.currency,
        days_of_lines.line_day,
        payouts_to_add.provider,
        payouts_to_add.name,
        payouts_to_add.amount_minor,
        row_number() over (
            partition by days_of_lines.currency, days_of_lines.line_day, payouts_to_add.provider
            order by payouts_to_add.name asc nulls last
        ) as place,
        count(*) over (partition by days_of_lines.currency, days_of_lines.line_day, payouts_to_add.provider) as candidates
    from days_of_lines
    inner join payouts_to_add
        on
            days_of_lines.currency = payouts_to_add.currency
            and days_of_lines.line_day between payouts_to_add.business_day_number
            and payouts_to_add.business_day_number + payouts_to_add.bank_lag_days

),

subsets as (

    select cast({{ number_of_range() }} as bigint) as subset
    from range(3, 4096)

),

sums as (

    select
        due.currency,
        due.line_day,
        due.provider,
        subsets.subset,
        cast(sum(due.amount_minor) as bigint) as amount_minor
    from due
    inner join subsets on {{ has_bit('subsets.subset', 'due.place - 1') }} and subsets.subset < {{ power_of_two('due.candidates') }}
    where due.candidates between 2 and 12
    group by due.currency, due.line_day, due.provider, subsets.subset
    having count(*) > 1

    union all

    select
        currency,
        line_day,
        provider,
        cast(0 as bigint) as subset,
        cast(sum(amount_minor) as bigint) as amount_minor
    from due
    where candidates > 12
    group by currency, line_day, provider

),

found_sets as (

    select
        lines_to_explain.line_id,
        lines_to_explain.currency,
        sums.line_day,
        sums.provider,
        sums.subset
    from lines_to_explain
    inner join sums
        on
            lines_to_explain.currency = sums.currency
            and lines_to_explain.business_day_number = sums.line_day
            and lines_to_explain.amount_minor = sums.amount_minor

    union all

    select distinct
        lines_to_explain.line_id,
        lines_to_explain.currency,
        one.line_day,
        one.provider,
        cast(0 as bigint) as subset
    from lines_to_explain
    inner join due as one
        on
            lines_to_explain.currency = one.currency
            and lines_to_explain.business_day_number = one.line_day
            and one.candidates > 12
    inner join due as other
        on
            one.currency = other.currency
            and one.line_day = other.line_day
            and one.provider = other.provider
            and one.place < other.place
            and lines_to_explain.amount_minor - one.amount_minor = other.amount_minor

),

sets_of_lines as (

    select
        line_id,
        currency,
        min(line_day) as line_day,
        min(provider) as provider,
        min(subset) as subset,
        cast(count(*) as bigint) as sets,
        max(case when subset = 0 then 1 else 0 end) = 0 and count(*) = 1 as is_sole
    from found_sets
    group by line_id, currency

),

{% endmacro %}

{# Whether a whole number has a bit, counted from 0. #}
{% macro has_bit(number, bit) -%}
    {{ return(adapter.dispatch('has_bit', 'zentra')(number, bit)) }}
{%- endmacro %}

{% macro default__has_bit(number, bit) -%}
    ({{ number }} >> ({{ bit }})) % 2 = 1
{%- endmacro %}

{% macro spark__has_bit(number, bit) -%}
    shiftright({{ number }}, cast({{ bit }} as int)) % 2 = 1
{%- endmacro %}

{# 2 to the power of a whole number below 63. #}
{% macro power_of_two(exponent) -%}
    {{ return(adapter.dispatch('power_of_two', 'zentra')(exponent)) }}
{%- endmacro %}

{% macro default__power_of_two(exponent) -%}
    (cast(1 as bigint) << ({{ exponent }}))
{%- endmacro %}

{% macro spark__power_of_two(exponent) -%}
    shiftleft(cast(1 as bigint), cast({{ exponent }} as int))
{%- endmacro %}

{# Two CTEs: `matched_before` has the lines and payouts that matches of earlier runs hold, those left out that were taken back since. #}
{% macro legs_matched_before() %}
taken_back as (

    select distinct match_id
    from {{ source('earlier', 'matches') }}
    where status = 'reversed'

),

matched_before as (

    select distinct
        legs.leg_type,
        legs.leg_id
    from {{ source('earlier', 'match_legs') }} as legs
    inner join {{ source('earlier', 'matches') }} as matches on legs.match_id = matches.match_id and matches.status = 'confirmed'
    left join taken_back on legs.match_id = taken_back.match_id
    where taken_back.match_id is null

)
{% endmacro %}
