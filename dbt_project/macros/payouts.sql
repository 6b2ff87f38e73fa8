{# Id of a payout: the same in whatever run speaks of it. Needs `scope`. #}
{% macro payout_id(batch_id, currency) -%}
    'pay_' || left({{ sha256_hex(joined_fields(['scope.tenant_id', 'scope.provider', batch_id, currency])) }}, 24)
{%- endmacro %}
