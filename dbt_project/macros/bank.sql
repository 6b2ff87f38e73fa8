{# A text for comparison with others: letters and digits of ASCII, lower case, one space between words and around the text. #}
{% macro plain_text(expression) -%}
    ' ' || trim(regexp_replace(lower({{ expression }}), '[^0-9a-z]+', ' ', 'g')) || ' '
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
