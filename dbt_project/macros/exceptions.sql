{# The id of an exception: tenant, provider, type, subject and occurrence, never the run. `scope` must be in reach. #}
{% macro exception_id(alias, occurrence) -%}
    'exc_' || left({{ sha256_hex(
        "scope.tenant_id || '|' || scope.provider || '|' || " ~ alias ~ ".exception_type || '|' || " ~ alias ~ ".subject_type || '|' || "
        ~ alias ~ ".currency || '|' || cast(" ~ occurrence ~ " as varchar) || '|' || " ~ alias ~ ".subject_id"
    ) }}, 24)
{%- endmacro %}
