{# What a callback speaks for, and which of several callbacks has the last word (contract §10.8). #}

{# Which way an item moves money, by its class: `in`, `out`, `any` where its callbacks may say either, null where no
   callback can speak for it. The class of a payout movement is null; a correction has the direction of its own amount. #}
{% macro money_direction(class, amount) -%}
    case
        when {{ class }} in ('payment', 'chargeback_reversal') then 'in'
        when {{ class }} in ('refund', 'chargeback') then 'out'
        when {{ class }} = 'adjustment' and {{ amount }} < 0 then 'out'
        when {{ class }} = 'adjustment' then 'in'
        when {{ class }} is null or {{ class }} = 'payout' then 'any'
    end
{%- endmacro %}

{# Whether an event and an item of the same currency agree in direction and, where the event names it, in class. #}
{% macro speaks_for(event, item) -%}
    {{ item }}.direction in ('any', case when {{ event }}.amount_minor < 0 then 'out' else 'in' end)
            and coalesce({{ event }}.movement_type = {{ item }}.callback_class, {{ event }}.movement_type is null)
{%- endmacro %}

{# The place of a callback among those that speak for one thing, as text: the greatest has the last word. Those that speak
   by provider_reference come after all others; then time, sequence (none comes first), rank of the status, and the id. #}
{% macro word_order(event, is_by_reference) -%}
    case when {{ is_by_reference }} then '1' else '0' end
        || {{ instant_digits(event ~ '.occurred_at') }}
        || case
            when {{ event }}.event_sequence is null then '0'
            else '1' || lpad(cast({{ event }}.event_sequence + 1000000000000000 as varchar), 16, '0')
        end
        || case {{ event }}.callback_status
            when 'pending' then '0'
            when 'failed' then '1'
            when 'succeeded' then '2'
            when 'disputed' then '3'
            else '4'
        end
        || {{ event }}.provider_event_id
{%- endmacro %}
