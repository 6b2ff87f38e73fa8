{#
  The few expressions that differ between engines: DuckDB's by default, those of Spark and Sail with `spark__`. Everything
  else in the models is plain SQL, but for the names of two types, which the compiled text has for each engine
  (zentra_pipeline/reconcile/spark_statements.py).
#}

{% macro sha256_hex(expression) -%}
    {{ return(adapter.dispatch('sha256_hex', 'zentra')(expression)) }}
{%- endmacro %}

{% macro default__sha256_hex(expression) -%}
    sha256({{ expression }})
{%- endmacro %}

{% macro spark__sha256_hex(expression) -%}
    sha2({{ expression }}, 256)
{%- endmacro %}

{# A JSON string literal of a text expression, quotes and escapes included; null stays the JSON null. #}
{% macro json_text(expression) -%}
    {{ return(adapter.dispatch('json_text', 'zentra')(expression)) }}
{%- endmacro %}

{% macro default__json_text(expression) -%}
    coalesce(cast(to_json({{ expression }}) as varchar), 'null')
{%- endmacro %}

{# The characters that JSON escapes, one after the other, the backslash first: no function of both servers does it alike. #}
{% macro spark__json_text(expression) -%}
    {% set escapes = [("chr(92)", "concat(chr(92), chr(92))"), ("chr(34)", "concat(chr(92), chr(34))")] -%}
    {% set short = {8: 'b', 9: 't', 10: 'n', 12: 'f', 13: 'r'} -%}
    {% for code in range(1, 32) -%}
        {% set escaped = "'" ~ short[code] ~ "'" if code in short else "'u00%02X'" % code -%}
        {% do escapes.append(("chr(%d)" % code, "concat(chr(92), " ~ escaped ~ ")")) -%}
    {% endfor -%}
    coalesce('"' || {% for _ in escapes %}replace({% endfor %}{{ expression }}
    {%- for character, escaped in escapes %}, {{ character }}, {{ escaped }}){% endfor %} || '"', 'null')
{%- endmacro %}

{# Text of all rows of a group, joined by a separator, in the order given: the order must be total. #}
{% macro ordered_text_agg(expression, separator, order_by) -%}
    {{ return(adapter.dispatch('ordered_text_agg', 'zentra')(expression, separator, order_by)) }}
{%- endmacro %}

{% macro default__ordered_text_agg(expression, separator, order_by) -%}
    string_agg({{ expression }}, '{{ separator }}' order by {{ order_by }})
{%- endmacro %}

{% macro spark__ordered_text_agg(expression, separator, order_by) -%}
    listagg({{ expression }}, '{{ separator }}') within group (order by {{ order_by }})
{%- endmacro %}

{# Value of one column in the first row of a group, in the order, in which it is not null. #}
{% macro first_by(expression, order_by) -%}
    {{ return(adapter.dispatch('first_by', 'zentra')(expression, order_by)) }}
{%- endmacro %}

{% macro default__first_by(expression, order_by) -%}
    arg_min({{ expression }}, {{ order_by }})
{%- endmacro %}

{% macro spark__first_by(expression, order_by) -%}
    min_by({{ expression }}, case when {{ expression }} is not null then {{ order_by }} end)
{%- endmacro %}

{# The same of the last row. #}
{% macro last_by(expression, order_by) -%}
    {{ return(adapter.dispatch('last_by', 'zentra')(expression, order_by)) }}
{%- endmacro %}

{% macro default__last_by(expression, order_by) -%}
    arg_max({{ expression }}, {{ order_by }})
{%- endmacro %}

{% macro spark__last_by(expression, order_by) -%}
    max_by({{ expression }}, case when {{ expression }} is not null then {{ order_by }} end)
{%- endmacro %}

{# The value in the first row: null, where that has none. #}
{% macro first_or_null_by(expression, order_by) -%}
    {{ return(adapter.dispatch('first_or_null_by', 'zentra')(expression, order_by)) }}
{%- endmacro %}

{% macro default__first_or_null_by(expression, order_by) -%}
    arg_min_null({{ expression }}, {{ order_by }})
{%- endmacro %}

{% macro spark__first_or_null_by(expression, order_by) -%}
    min_by({{ expression }}, {{ order_by }})
{%- endmacro %}

{# A CTE that is read again wherever it is used, instead of being kept: cheaper where each use needs few columns or rows. #}
{% macro read_where_used() -%}
    {{ return(adapter.dispatch('read_where_used', 'zentra')()) }}
{%- endmacro %}

{% macro default__read_where_used() -%}
    not materialized
{%- endmacro %}

{% macro spark__read_where_used() -%}
{%- endmacro %}

{# An instant as digits, in whose order it is: `20260426120000000000`. #}
{% macro instant_digits(expression) -%}
    {{ return(adapter.dispatch('instant_digits', 'zentra')(expression)) }}
{%- endmacro %}

{% macro default__instant_digits(expression) -%}
    strftime({{ expression }}, '%Y%m%d%H%M%S%f')
{%- endmacro %}

{% macro spark__instant_digits(expression) -%}
    date_format({{ expression }}, 'yyyyMMddHHmmssSSSSSS')
{%- endmacro %}

{# An instant as people and other programs read it: `2026-04-26T12:00:00Z`. #}
{% macro instant_text(expression) -%}
    {{ return(adapter.dispatch('instant_text', 'zentra')(expression)) }}
{%- endmacro %}

{% macro default__instant_text(expression) -%}
    strftime({{ expression }}, '%Y-%m-%dT%H:%M:%SZ')
{%- endmacro %}

{% macro spark__instant_text(expression) -%}
    date_format({{ expression }}, 'yyyy-MM-dd') || 'T' || date_format({{ expression }}, 'HH:mm:ss') || 'Z'
{%- endmacro %}

{# Whether a text has a part that fits a regular expression. #}
{% macro has_match(text, pattern) -%}
    {{ return(adapter.dispatch('has_match', 'zentra')(text, pattern)) }}
{%- endmacro %}

{% macro default__has_match(text, pattern) -%}
    regexp_matches({{ text }}, {{ pattern }})
{%- endmacro %}

{% macro spark__has_match(text, pattern) -%}
    regexp_like({{ text }}, {{ pattern }})
{%- endmacro %}

{# The column of the table function `range`. #}
{% macro number_of_range() -%}
    {{ return(adapter.dispatch('number_of_range', 'zentra')()) }}
{%- endmacro %}

{% macro default__number_of_range() -%}
    range
{%- endmacro %}

{% macro spark__number_of_range() -%}
    id
{%- endmacro %}

{# A row for each element of a list, with its place from 1. #}
{% macro each_of(list, element, place) -%}
    {{ return(adapter.dispatch('each_of', 'zentra')(list, element, place)) }}
{%- endmacro %}

{% macro default__each_of(list, element, place) -%}
    unnest({{ list }}) as {{ element }},
        generate_subscripts({{ list }}, 1) as {{ place }}
{%- endmacro %}

{% macro spark__each_of(list, element, place) -%}
    inline(arrays_zip({{ list }}, sequence(1, size({{ list }})))) as ({{ element }}, {{ place }})
{%- endmacro %}

{# A text in which each part that fits a regular expression, without groups or escapes, is another text. #}
{% macro each_match_replaced(text, pattern, other) -%}
    {{ return(adapter.dispatch('each_match_replaced', 'zentra')(text, pattern, other)) }}
{%- endmacro %}

{% macro default__each_match_replaced(text, pattern, other) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ other }}', 'g')
{%- endmacro %}

{% macro spark__each_match_replaced(text, pattern, other) -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ other }}')
{%- endmacro %}

{# Fields as one text from which each can be read back, whatever they hold: their lengths, then the fields. Null is ''. #}
{% macro joined_fields(fields) -%}
    concat_ws('|'
    {%- for field in fields %}, length(coalesce(cast({{ field }} as varchar), '')){% endfor %}
    {%- for field in fields %}, coalesce(cast({{ field }} as varchar), ''){% endfor %})
{%- endmacro %}

{# A row as one text from which its fields can be read back: those of a fixed form (numbers, words of a vocabulary,
   instants), then the lengths of the free ones, then the free ones. Null is ''. #}
{% macro row_text(name, fixed, free) -%}
    concat_ws('|', {{ name }}
    {%- for field in fixed %}, coalesce(cast({{ field }} as varchar), ''){% endfor %}
    {%- for field in free %}, length(coalesce({{ field }}, '')){% endfor %}
    {%- for field in free %}, coalesce({{ field }}, ''){% endfor %})
{%- endmacro %}

{# Whether a value is in a column of a small table, where a select computes it: Sail asks no subquery for rows there. #}
{% macro is_one_of(expression, column, relation, alias) -%}
    {{ return(adapter.dispatch('is_one_of', 'zentra')(expression, column, relation, alias)) }}
{%- endmacro %}

{% macro default__is_one_of(expression, column, relation, alias) -%}
    {{ expression }} in (select {{ column }} from {{ relation }} as {{ alias }})
{%- endmacro %}

{% macro spark__is_one_of(expression, column, relation, alias) -%}
    array_contains((select collect_list({{ column }}) from {{ relation }} as {{ alias }}), {{ expression }})
{%- endmacro %}
