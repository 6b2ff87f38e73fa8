{# Schemas carry their own names (zentra, seeds) rather than a prefix of the target's: names are the same for every run. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
