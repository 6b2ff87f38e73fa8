-- Grain: a line of a proposed journal entry: what remains on a clearing account, and the account it goes to.
-- A remainder above zero is a credit on the clearing account, as the amount of a movement is; the entry takes it from there.
-- Nothing without an account map: see account_map, a row a provider and kind.
-- What a later run took back keeps its entry, which may have been posted, and the window of the later run has the opposite one.
with confirmed as (
    select
        *,
        run_id as made_run_id,
        1 as sign
    from matches
    where status = 'confirmed' or (status = 'reversed' and reversed_run_id <> run_id)
    union all by name
    select
        matches.* replace (runs.run_id as run_id, runs.ledger_window as ledger_window),
        matches.run_id as made_run_id,
        -1 as sign
    from matches
    inner join runs on matches.reversed_run_id = runs.run_id
    where matches.status = 'reversed' and matches.reversed_run_id <> matches.run_id
),

-- The lines of matches with the content that the run of the match used: the newest that it has read. What was delivered
-- since, and read by no run, changes no entry.
matched_lines as (
    select
        confirmed.sign,
        confirmed.provider,
        confirmed.ledger_window,
        confirmed.run_id,
        coalesce(legs.item_minor, legs.amount_minor) as leg_minor,
        deliveries.gross_minor,
        deliveries.fee_minor,
        deliveries.currency
    from match_legs as legs
    inner join confirmed on legs.match_id = confirmed.match_id and legs.run_id = confirmed.made_run_id
    inner join settlement_lines as deliveries on legs.provider = deliveries.provider and legs.leg_id = deliveries.line_id
    left join unread_deliveries as unread
        on confirmed.made_run_id = unread.run_id and deliveries.file_sequence = unread.file_sequence
    where legs.leg_type = 'settlement_line' and not coalesce(legs.is_fee, false) and unread.run_id is null
    qualify row_number() over (
        partition by confirmed.match_id, confirmed.made_run_id, confirmed.sign, legs.leg_id
        order by deliveries.file_sequence desc, deliveries.row_number desc
    ) = 1
),

matched_items as (
    select distinct
        legs.provider,
        legs.leg_id
    from match_legs as legs
    inner join matches on legs.match_id = matches.match_id and legs.run_id = matches.run_id
    where matches.status = 'confirmed'
),

-- The last decision that ended an exception, or approved what ends it.
endings as (
    select
        exception_id,
        decision_id,
        actor,
        reason,
        sequence
    from decisions
    where exception_id is not null and result = 'resolved'
    qualify row_number() over (partition by exception_id order by sequence desc) = 1
),

-- An item that nothing is matched with is left on the clearing account whatever it was excepted for, and once.
adjusted_items as (
    select
        cases.provider,
        cases.ledger_window,
        cases.run_id,
        cases.subject_type as item_type,
        cases.subject_id as item_id,
        cases.provider_reference,
        cases.currency,
        cases.amount_minor,
        cases.exception_id,
        endings.decision_id,
        replace(cases.exception_type, '_', ' ') || ': adjustment required' as rests_on
    from exceptions as cases
    inner join endings on cases.exception_id = endings.exception_id
    where
        cases.exception_type in (
            'unmatched_provider_row', 'unmatched_ledger_entry', 'currency_mismatch', 'ambiguous_match',
            'duplicate_settlement_line', 'duplicate_ledger_posting'
        )
        and cases.status = 'resolved' and cases.resolution = 'adjustment_required'
        and not exists (
            select 1 from matched_items
            where matched_items.provider = cases.provider and matched_items.leg_id = cases.subject_id
        )
    qualify
        row_number() over (
            partition by cases.provider, cases.subject_type, cases.subject_id, cases.currency
            order by endings.sequence desc
        ) = 1
),

-- Lines that a decision ended without a match, with the content that its run has read.
ended_lines as (
    select
        ended.*,
        deliveries.gross_minor,
        deliveries.fee_minor
    from (
        select
            provider,
            ledger_window,
            run_id,
            item_id,
            provider_reference,
            currency,
            amount_minor,
            exception_id,
            decision_id,
            'written off' as rests_on
        from write_offs
        where item_type = 'settlement_line'
        union all by name
        select * exclude (item_type) from adjusted_items
        where item_type = 'settlement_line'
    ) as ended
    inner join settlement_lines as deliveries on ended.provider = deliveries.provider and ended.item_id = deliveries.line_id
    left join unread_deliveries as unread
        on ended.run_id = unread.run_id and deliveries.file_sequence = unread.file_sequence
    where unread.run_id is null and deliveries.currency = ended.currency
    qualify
        row_number() over (
            partition by ended.exception_id, ended.decision_id, ended.item_id
            order by deliveries.file_sequence desc, deliveries.row_number desc
        ) = 1
),

-- The two sides of an entry, clearing account first, and of a conversion, posted currency first.
places as (
    select unnest([true, false]) as is_first
),

payouts_with_fees as (
    select
        run_id,
        match_id,
        max(payout_provider) as payout_provider
    from payout_states
    where fee_minor <> 0
    group by run_id, match_id
),

proposals as (
    select
        'fee' as kind,
        'fee' as mapped,
        matched_lines.provider,
        matched_lines.ledger_window,
        matched_lines.run_id,
        matched_lines.currency,
        cast(sum(matched_lines.sign * matched_lines.fee_minor) as bigint) as remainder_minor,
        matched_lines.run_id as natural_key,
        cast(null as varchar) as item_id,
        cast(null as varchar) as provider_reference,
        cast(null as varchar) as match_id,
        cast(null as varchar) as exception_id,
        cast(null as varchar) as decision_id,
        'fees of ' || count(*) filter (matched_lines.sign = 1) || ' matched '
        || case count(*) filter (matched_lines.sign = 1) when 1 then 'line' else 'lines' end
        || ', which the ledger has at the gross'
        || case
            when min(matched_lines.sign) = 1 then ''
            else ', less those of ' || count(*) filter (matched_lines.sign = -1) || ' in matches that were taken back'
        end as rests_on
    from matched_lines
    where matched_lines.leg_minor = matched_lines.gross_minor and matched_lines.fee_minor <> 0
    group by matched_lines.provider, matched_lines.ledger_window, matched_lines.run_id, matched_lines.currency

    union all by name

    select
        'write_off' as kind,
        'write_off' as mapped,
        written.provider,
        written.ledger_window,
        written.run_id,
        written.currency,
        case when written.item_type = 'settlement_line' then -written.amount_minor else written.amount_minor end
            as remainder_minor,
        written.item_type || ' ' || written.item_id || ' ' || written.decision_id as natural_key,
        written.item_id,
        written.provider_reference,
        written.exception_id,
        written.decision_id,
        'written off' as rests_on
    from write_offs as written

    union all by name

    select
        case when cases.resolution = 'written_off' then 'write_off' else 'adjustment' end as kind,
        case when cases.resolution = 'written_off' then 'write_off' else 'adjustment' end as mapped,
        cases.provider,
        case when confirmed.sign = 1 then cases.ledger_window else confirmed.ledger_window end as ledger_window,
        case when confirmed.sign = 1 then cases.run_id else confirmed.run_id end as run_id,
        cases.currency,
        -confirmed.sign * cases.difference_minor as remainder_minor,
        cases.exception_id || case when confirmed.sign = 1 then '' else ' taken back' end as natural_key,
        cases.subject_id as item_id,
        cases.provider_reference,
        cases.match_id,
        cases.exception_id,
        endings.decision_id,
        'difference of a match' || case when confirmed.sign = 1 then '' else ' that was taken back' end || ': '
        || replace(cases.resolution, '_', ' ') as rests_on
    from exceptions as cases
    inner join endings on cases.exception_id = endings.exception_id
    inner join confirmed on cases.match_id = confirmed.match_id
    where
        cases.exception_type = 'amount_mismatch' and cases.subject_type = 'settlement_line'
        and cases.status = 'resolved' and cases.resolution in ('written_off', 'adjustment_required')

    union all by name

    select
        'adjustment' as kind,
        'adjustment' as mapped,
        adjusted.provider,
        adjusted.ledger_window,
        adjusted.run_id,
        adjusted.currency,
        case when adjusted.item_type = 'settlement_line' then -adjusted.amount_minor else adjusted.amount_minor end
            as remainder_minor,
        adjusted.exception_id as natural_key,
        adjusted.item_id,
        adjusted.provider_reference,
        adjusted.exception_id,
        adjusted.decision_id,
        adjusted.rests_on
    from adjusted_items as adjusted

    union all by name

    -- A line that is given up or booked at its gross was paid less its fee, as one that is matched.
    select
        'fee' as kind,
        'fee' as mapped,
        ended_lines.provider,
        ended_lines.ledger_window,
        ended_lines.run_id,
        ended_lines.currency,
        ended_lines.fee_minor as remainder_minor,
        ended_lines.exception_id as natural_key,
        ended_lines.item_id,
        ended_lines.provider_reference,
        ended_lines.exception_id,
        ended_lines.decision_id,
        'fee of a line: ' || ended_lines.rests_on as rests_on
    from ended_lines
    where ended_lines.amount_minor = ended_lines.gross_minor

    union all by name

    -- What the provider paid less, or more, than the rows that it gives for it is left there as well.
    select
        'adjustment' as kind,
        'adjustment' as mapped,
        cases.provider,
        cases.ledger_window,
        cases.run_id,
        cases.currency,
        cases.difference_minor as remainder_minor,
        cases.exception_id as natural_key,
        cases.subject_id as item_id,
        cases.provider_reference,
        cases.exception_id,
        endings.decision_id,
        'control total mismatch: adjustment required' as rests_on
    from exceptions as cases
    inner join endings on cases.exception_id = endings.exception_id
    where
        cases.exception_type = 'control_total_mismatch'
        and cases.status = 'resolved' and cases.resolution = 'adjustment_required'

    union all by name

    -- A fee off its schedule was taken with the line's whole fee: what it is off goes from the fee account.
    select
        'adjustment' as kind,
        'fee_variance' as mapped,
        cases.provider,
        cases.ledger_window,
        cases.run_id,
        cases.currency,
        -cases.difference_minor as remainder_minor,
        cases.exception_id as natural_key,
        cases.subject_id as item_id,
        cases.provider_reference,
        cases.exception_id,
        endings.decision_id,
        'fee variance: adjustment required' as rests_on
    from exceptions as cases
    inner join endings on cases.exception_id = endings.exception_id
    where
        cases.exception_type = 'fee_variance'
        and cases.status = 'resolved' and cases.resolution = 'adjustment_required'
        and exists (
            select 1 from matched_items
            where
                matched_items.provider = cases.provider
                and matched_items.leg_id in (cases.subject_id, cases.subject_id || '#fee')
        )

    union all by name

    select
        'tolerance' as kind,
        'adjustment' as mapped,
        confirmed.provider,
        confirmed.ledger_window,
        confirmed.run_id,
        confirmed.currency,
        -confirmed.sign * confirmed.difference_minor as remainder_minor,
        confirmed.match_id || case when confirmed.sign = 1 then '' else ' taken back' end as natural_key,
        confirmed.first_line_id as item_id,
        confirmed.provider_reference,
        confirmed.match_id,
        'a difference within tolerance' || case when confirmed.sign = 1 then '' else ', of a match that was taken back' end
            as rests_on
    from confirmed
    where
        confirmed.difference_minor <> 0 and not exists (
            select 1 from exceptions as cases
            where cases.match_id = confirmed.match_id and cases.exception_type = 'amount_mismatch'
        )

    union all by name

    -- What the bank kept of payouts, by the day of the account that credited them.
    select
        'bank_fee' as kind,
        'bank_fee' as mapped,
        states.payout_provider as provider,
        confirmed.ledger_window,
        confirmed.run_id,
        confirmed.currency,
        -confirmed.sign * confirmed.difference_minor as remainder_minor,
        confirmed.match_id || case when confirmed.sign = 1 then '' else ' taken back' end as natural_key,
        confirmed.first_line_id as item_id,
        confirmed.provider_reference,
        confirmed.match_id,
        'fee that the bank kept of a payout' || case when confirmed.sign = 1 then '' else ', of a match that was taken back' end
            as rests_on
    from confirmed
    inner join payouts_with_fees as states on confirmed.match_id = states.match_id and confirmed.made_run_id = states.run_id
    where confirmed.method = 'tolerance' and confirmed.difference_minor < 0

    union all by name

    select
        'fx' as kind,
        'fx' as mapped,
        confirmed.provider,
        confirmed.ledger_window,
        confirmed.run_id,
        case when places.is_first then confirmed.currency else confirmed.settled_currency end as currency,
        case when places.is_first then confirmed.settlement_minor else -confirmed.settled_minor end as remainder_minor,
        confirmed.match_id as natural_key,
        confirmed.first_line_id as item_id,
        confirmed.provider_reference,
        confirmed.match_id,
        'posted in ' || confirmed.currency || ', settled in ' || confirmed.settled_currency
        || case when confirmed.sign = 1 then '' else ', by a match that was taken back' end as rests_on
    from confirmed
    cross join places
    where confirmed.settled_currency <> confirmed.currency
),

entries as (
    select
        'jrn_' || left(sha256(proposals.kind || ' ' || proposals.provider || ' ' || proposals.natural_key), 24) as entry_id,
        proposals.*,
        account_map.clearing_account,
        account_map.account,
        account_map.tenant_id
    from proposals
    inner join account_map on proposals.provider = account_map.provider and proposals.mapped = account_map.kind
    where proposals.remainder_minor <> 0
),

final as (
    select
        entries.tenant_id,
        entries.entry_id,
        entries.provider,
        entries.ledger_window,
        entries.run_id,
        entries.kind,
        case when places.is_first then entries.clearing_account else entries.account end as account,
        case when (entries.remainder_minor > 0) = places.is_first then 'debit' else 'credit' end as direction,
        abs(entries.remainder_minor) as amount_minor,
        entries.currency,
        entries.provider_reference,
        entries.item_id,
        entries.match_id,
        entries.exception_id,
        entries.decision_id,
        endings.actor as decided_by,
        endings.reason,
        entries.rests_on
    from entries
    cross join places
    left join endings on entries.exception_id = endings.exception_id and entries.decision_id = endings.decision_id
)

select * from final
order by
    ledger_window asc nulls last, provider asc nulls last, kind asc, entry_id asc, currency asc, direction desc, account asc
