{# The fee of a line, posted separately, is an item beside the line (contract §1 `fee_posting`): its id is the line's with `#fee`. #}

{% macro fee_item_id(line_id) -%}
    {{ line_id }} || '#fee'
{%- endmacro %}

{# The line of a fee item; only of items that are fees. #}
{% macro fee_line_id(item_id) -%}
    left({{ item_id }}, length({{ item_id }}) - 4)
{%- endmacro %}

{# The line that an item is, or whose fee it is. #}
{% macro line_id_of(alias) -%}
    case when {{ alias }}.is_fee then {{ fee_line_id(alias ~ '.item_id') }} else {{ alias }}.item_id end
{%- endmacro %}
