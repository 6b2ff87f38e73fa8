{# What a line comes to in the currency it settled in: gross or net by the profile, without what earlier runs wrote off. #}
{% macro line_amount(line, profile) -%}
    case when {{ profile }}.compare_amount = 'net' then {{ line }}.net_minor else {{ line }}.gross_minor end - {{ line }}.written_off_minor
{%- endmacro %}
