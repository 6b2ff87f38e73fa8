-- The fair floor of fair_floor.py: what each side has, groups of one reference, currency and class (equal sums match whole, of the
-- rest equal amounts and one against one), lines that name a movement, callbacks, and then what a run publishes, sorted as it sorts.

create table lines as
    select line_id, line_type as class, provider_reference as ref, merchant_reference as name, gross_minor as amount, currency,
        settled_at, file_id from read_parquet('{staged}/settlement_lines/*.parquet');

create table movements as
    select transaction_id, currency, case first(movement_type) when 'refund' then 'refund' else 'payment' end as class,
        sum(case direction when 'credit' then amount_minor else -amount_minor end)::bigint as amount, min(entry_id) as entry,
        first(provider_reference) as ref, first(intent_id) as intent, min(posted_at) as posted_at
    from read_parquet('{staged}/ledger_entries/*.parquet') where account = 'settlement_account'
    group by transaction_id, currency;

create table events as
    select provider_event_id as event_id, first(provider_reference) as ref, first(merchant_reference) as name,
        first(currency) as currency, min(amount_minor) as amount, min(status) as status, min(received_at) as received_at,
        count(*) as deliveries, min(amount_minor) = max(amount_minor) as is_believed
    from read_parquet('{staged}/callbacks/*.parquet') where received_at <= '{as_of}'::timestamptz at time zone 'UTC'
    group by provider_event_id;

create table line_groups as
    select ref, currency, class, count(*) as items, sum(amount)::bigint as amount, min(line_id) as first_line
    from lines group by ref, currency, class;

create table movement_groups as
    select ref, currency, class, count(*) as items, sum(amount)::bigint as amount, min(transaction_id) as first_txn
    from movements group by ref, currency, class;

create table equal as
    select ref, currency, class, 'exact_reference' as rule, l.amount as settled, m.amount as posted, first_line, first_txn
    from line_groups as l join movement_groups as m using (ref, currency, class) where l.amount = m.amount;

create table rest_lines as
    select *, row_number() over (partition by ref, currency, class, amount order by settled_at, line_id) as rank
    from lines anti join equal using (ref, currency, class);

create table rest_movements as
    select *, row_number() over (partition by ref, currency, class, amount order by posted_at, transaction_id) as rank
    from movements anti join equal using (ref, currency, class);

create table paired as
    select ref, currency, class, 'exact_reference' as rule, l.amount as settled, m.amount as posted,
        line_id as first_line, transaction_id as first_txn
    from rest_lines as l join rest_movements as m using (ref, currency, class, amount, rank);

create table different as
    with l as (select ref, currency, class, min(line_id) as first_line, min(amount) as settled
            from rest_lines anti join paired using (ref, currency, class) group by all having count(*) = 1),
        m as (select ref, currency, class, min(transaction_id) as first_txn, min(amount) as posted
            from rest_movements anti join paired using (ref, currency, class) group by all having count(*) = 1)
    select ref, currency, class, 'exact_reference' as rule, settled, posted, first_line, first_txn
    from l join m using (ref, currency, class);

create table named as
    select l.ref, l.currency, l.class, 'internal_reference' as rule, l.amount as settled, m.amount as posted,
        line_id as first_line, transaction_id as first_txn
    from (select * from rest_lines anti join paired on line_id = first_line) as l
    join (select * from rest_movements anti join paired on transaction_id = first_txn) as m
        on l.name = m.transaction_id and l.currency = m.currency and l.class = m.class and l.amount = m.amount;

create table made as
    select 'mat_' || left(sha256(concat_ws('|', 'run', rule, currency, class, first_line, first_txn, ref)), 24) as match_id, * from (from equal union all from paired union all from different union all from named);

create table line_legs as
    select match_id, line_id as item_id, l.amount, l.file_id from lines as l join made using (ref, currency, class)
    where rule = 'exact_reference' and (settled = posted and (ref, currency, class) in (select (ref, currency, class) from equal)
        or line_id = first_line)
    union all
    select match_id, first_line, settled, '{file}' from made where rule = 'internal_reference';

create table movement_legs as
    select match_id, transaction_id as item_id, m.amount, m.entry, m.intent from movements as m
    join made using (ref, currency, class) where rule = 'exact_reference'
    union all
    select match_id, first_txn, posted, m.entry, m.intent from made join movements as m on first_txn = transaction_id
    where rule = 'internal_reference';

create table callback_legs as
    select event_id, match_id, e.amount, e.status from events as e join made using (ref, currency)
    where is_believed and (class = 'refund') = (e.amount < 0)
    union all
    select event_id, match_id, e.amount, e.status
    from made join movements as m on first_txn = transaction_id join events as e on m.ref = e.ref and m.currency = e.currency
    where is_believed and rule = 'internal_reference';

create table said as
    select match_id, max(event_id) as event_id, max(case status when 'succeeded' then amount end) as amount
    from callback_legs group by match_id;

create table open_lines as
    select * from lines anti join line_legs on line_id = item_id;

create table open_movements as
    select * from movements anti join movement_legs on transaction_id = item_id;

create table waiting as
    select * from events anti join callback_legs using (event_id) where is_believed and status = 'succeeded';

copy (
    select match_id, rule, 'one_to_one' as cardinality, 'exact' as method, 'confirmed' as status, currency,
        settled as settlement_minor, posted as ledger_minor, settled - posted as difference_minor, 0::bigint as tolerance_minor,
        class as line_class, ref as provider_reference, first_line as first_line_id, first_txn as first_transaction_id, 'tenant' as tenant_id, 'rail' as provider, date '{window}' as ledger_window, 'run' as run_id
    from made order by match_id
) to '{out}/matches.parquet' (format parquet, compression zstd, compression_level 1);

copy (
    select match_id, leg_type, leg_id, amount_minor, 'tenant' as tenant_id, 'rail' as provider, date '{window}' as ledger_window, 'run' as run_id from (
        select match_id, 'settlement_line' as leg_type, item_id as leg_id, amount as amount_minor from line_legs
        union all select match_id, 'ledger_transaction', item_id, amount from movement_legs
        union all select match_id, 'callback', event_id, amount from callback_legs)
    order by match_id, leg_type, leg_id
) to '{out}/match_legs.parquet' (format parquet, compression zstd, compression_level 1);

copy (
    select *, settlement_minor - ledger_minor as settlement_vs_ledger_minor,
        callback_minor - ledger_minor as callback_vs_ledger_minor, settlement_minor - callback_minor as settlement_vs_callback_minor,
        'tenant' as tenant_id, 'rail' as provider, date '{window}' as ledger_window, 'run' as run_id
    from (
        select ref as provider_reference, first_txn as transaction_id, first_line as line_id, currency, match_id,
            said.amount is not null as has_callback, true as has_settlement, true as has_ledger, said.amount as callback_minor,
            settled as settlement_minor, posted as ledger_minor, null::varchar as provider_event_id
        from made left join said using (match_id)
        union all
        select l.ref, null, line_id, l.currency, null, event_id is not null, true, false, w.amount, l.amount, null, event_id
        from open_lines as l left join waiting as w on l.ref = w.ref and l.currency = w.currency
        union all
        select m.ref, transaction_id, null, m.currency, null, event_id is not null, false, true, w.amount, null, m.amount, event_id
        from open_movements as m left join waiting as w on m.ref = w.ref and m.currency = w.currency)
    order by provider_reference, transaction_id, line_id, provider_event_id, currency, match_id
) to '{out}/three_way.parquet' (format parquet, compression zstd, compression_level 1);

copy (
    select *, 'incomplete' as evidence_status, concat_ws(', ', case when settlement_file is null then 'settlement_file' end,
            case when ledger_entry is null then 'ledger_entry' end, case when intent_id is null then 'intent' end,
            'actor', 'scope', 'policy_result', 'signature') as missing, 'finance_ops' as actor, 'tenant/rail' as actor_scope, 'tenant' as tenant_id, 'rail' as provider, date '{window}' as ledger_window, 'run' as run_id
    from (
        select ref as provider_reference, l.file_id as settlement_file, m.entry as ledger_entry, l.item_id as line_id,
            m.item_id as transaction_id, currency, match_id, said.event_id as provider_event_id, m.intent as intent_id,
            case when said.event_id is not null then 'not_checked' end as signature
        from made join line_legs as l using (match_id) join movement_legs as m using (match_id) left join said using (match_id)
        union all
        select l.ref, file_id, null, line_id, null, l.currency, null, event_id, null,
            case when event_id is not null then 'not_checked' end
        from open_lines as l left join waiting as w on l.ref = w.ref and l.currency = w.currency
        union all
        select m.ref, null, entry, null, transaction_id, m.currency, null, event_id, intent,
            case when event_id is not null then 'not_checked' end
        from open_movements as m left join waiting as w on m.ref = w.ref and m.currency = w.currency
        union all
        select ref, null, null, null, null, currency, null, event_id, null, 'not_checked' from events where not is_believed)
    order by provider_reference, settlement_file, ledger_entry, line_id, transaction_id, currency, provider_event_id
) to '{out}/evidence_items.parquet' (format parquet, compression zstd, compression_level 1);

copy (
    select event_id as provider_event_id, case when match_id is not null then 'matched'
            when is_believed then 'in_transit' else 'excepted' end as callback_state, deliveries, 'tenant' as tenant_id, 'rail' as provider, date '{window}' as ledger_window, 'run' as run_id
    from events left join callback_legs using (event_id) order by provider_event_id
) to '{out}/callback_states.parquet' (format parquet, compression zstd, compression_level 1);

copy (
    select row_number() over (order by match_id) - 1 as "offset", 'reconciliation.match.created' as event_type,
        row_number() over (order by match_id) - 1 as match_row, 'tenant' as tenant_id, 'rail' as provider, date '{window}' as ledger_window, 'run' as run_id
    from made order by "offset"
) to '{out}/event_rows.parquet' (format parquet, compression zstd, compression_level 1);
