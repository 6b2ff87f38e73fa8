{# The few expressions that differ between engines. Everything else in the models is plain SQL. #}

{% macro sha256_hex(expression) -%}
    {{ return(adapter.dispatch('sha256_hex', 'zentra')(expression)) }}
{%- endmacro %}

{% macro default__sha256_hex(expression) -%}
    sha256({{ expression }})
{%- endmacro %}

{# A JSON string literal of a text expression, quotes and escapes included; null stays the JSON null. #}
{% macro json_text(expression) -%}
    {{ return(adapter.dispatch('json_text', 'zentra')(expression)) }}
{%- endmacro %}

{% macro default__json_text(expression) -%}
    coalesce(cast(to_json({{ expression }}) as varchar), 'null')
{%- endmacro %}

{# Text of all rows of a group, joined by a separator, in the order given: the order must be total. #}
{% macro ordered_text_agg(expression, separator, order_by) -%}
    {{ return(adapter.dispatch('ordered_text_agg', 'zentra')(expression, separator, order_by)) }}
{%- endmacro %}

{% macro default__ordered_text_agg(expression, separator, order_by) -%}
    string_agg({{ expression }}, '{{ separator }}' order by {{ order_by }})
{%- endmacro %}

{# Value of one column in the row of a group that comes first in the order; `expression` must not be null. #}
{% macro first_by(expression, order_by) -%}
    {{ return(adapter.dispatch('first_by', 'zentra')(expression, order_by)) }}
{%- endmacro %}

{% macro default__first_by(expression, order_by) -%}
    arg_min({{ expression }}, {{ order_by }})
{%- endmacro %}

{# The same where `expression` may be null: then null, where the first row has none. #}
{% macro first_or_null_by(expression, order_by) -%}
    {{ return(adapter.dispatch('first_or_null_by', 'zentra')(expression, order_by)) }}
{%- endmacro %}

{% macro default__first_or_null_by(expression, order_by) -%}
    arg_min_null({{ expression }}, {{ order_by }})
{%- endmacro %}

{# A CTE that is read again wherever it is used, instead of being kept: cheaper where each use needs few columns or rows. #}
{% macro read_where_used() -%}
    {{ return(adapter.dispatch('read_where_used', 'zentra')()) }}
{%- endmacro %}

{% macro default__read_where_used() -%}
    not materialized
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
