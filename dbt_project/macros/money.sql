{# Whole-number division of non-negative integers; the only division in the project. #}
{% macro whole_division(dividend, divisor) -%}
    {{ return(adapter.dispatch('whole_division', 'zentra')(dividend, divisor)) }}
{%- endmacro %}

{% macro default__whole_division(dividend, divisor) -%}
    ({{ dividend }} // {{ divisor }})
{%- endmacro %}

{% macro spark__whole_division(dividend, divisor) -%}
    ({{ dividend }} div {{ divisor }})
{%- endmacro %}

{# How many ten-thousandths of a whole a part is, cut off. Spark has 64 bits and Sail wraps beyond them without a word, so that a
   sum of minor units cannot be multiplied there: it is divided digit by digit, which is exact up to 9 x 10^17. #}
{% macro basis_points(part, whole) -%}
    {{ return(adapter.dispatch('basis_points', 'zentra')(part, whole)) }}
{%- endmacro %}

{% macro default__basis_points(part, whole) -%}
    {{ whole_division(part ~ ' * 10000', whole) }}
{%- endmacro %}

{% macro spark__basis_points(part, whole) -%}
    {%- set rest = namespace(text='(' ~ part ~ ' % ' ~ whole ~ ')') -%}
    ({{ whole_division(part, whole) }} * 10000
    {%- for place in (1000, 100, 10, 1) %}
        + {{ whole_division(rest.text ~ ' * 10', whole) }} * {{ place }}
        {%- set rest.text = '((' ~ rest.text ~ ' * 10) % ' ~ whole ~ ')' -%}
    {%- endfor %})
{%- endmacro %}

{# An amount of minor units as text: `-1,250.00 USD`. `exponent` is the currency's number of decimals. #}
{% macro money(amount, currency, exponent) -%}
    case when {{ amount }} < 0 then '-' else '' end
    || case
        when coalesce({{ exponent }}, 0) = 0 then {{ grouped_digits('abs(' ~ amount ~ ')') }}
        when {{ exponent }} = 2
            then {{ grouped_digits(whole_division('abs(' ~ amount ~ ')', '100')) }} || '.' || lpad(cast(abs({{ amount }}) % 100 as varchar), 2, '0')
        when {{ exponent }} = 3
            then {{ grouped_digits(whole_division('abs(' ~ amount ~ ')', '1000')) }} || '.' || lpad(cast(abs({{ amount }}) % 1000 as varchar), 3, '0')
        else {{ grouped_digits(whole_division('abs(' ~ amount ~ ')', '10000')) }} || '.' || lpad(cast(abs({{ amount }}) % 10000 as varchar), 4, '0')
    end
    || ' ' || {{ currency }}
{%- endmacro %}

{# A non-negative integer as text, thousands apart by a comma: `1,234,567`. #}
{% macro grouped_digits(integer) -%}
    {{ return(adapter.dispatch('grouped_digits', 'zentra')(integer)) }}
{%- endmacro %}

{% macro default__grouped_digits(integer) -%}
    reverse(rtrim(regexp_replace(reverse(cast({{ integer }} as varchar)), '([0-9]{3})', '\1,', 'g'), ','))
{%- endmacro %}

{% macro spark__grouped_digits(integer) -%}
    reverse(rtrim(',', regexp_replace(reverse(cast({{ integer }} as varchar)), '([0-9]{3})', '$1,')))
{%- endmacro %}
