"""The events of a revision as facts: of which rows each kind is said, and what it says of them, in SQL.

A fact names relations that `revision_events` makes: `about`; `matches_now`, `matches_before` and `matches_earlier`; the
same of `exceptions`, and of `payout_states` those now and earlier. Does not belong here: writing events.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from zentra_pipeline.decisions.exception_state import SYSTEM_ACTOR
from zentra_pipeline.events import segment_rows, types
from zentra_pipeline.events.cloud_event import event_id_sql
from zentra_pipeline.reconcile import run_kinds
from zentra_pipeline.reconcile.run_kinds import RunKind

# Events of a file are in this order: what ceases to hold comes before what holds instead.
_ORDER: Final = (
    types.MATCH_REVERSED,
    types.MATCH_CREATED,
    types.EXCEPTION_RESOLVED,
    types.EXCEPTION_REOPENED,
    types.EXCEPTION_OPENED,
    types.EXCEPTION_CHANGED,
    types.CALLBACK_LATE,
    types.PAYOUT_RETURNED,
    types.PAYOUT_CREDITED,
    types.PAYOUT_OVERDUE,
)
_OPENING: Final = (types.EXCEPTION_OPENED, types.EXCEPTION_REOPENED, types.EXCEPTION_CHANGED)
_OF_PAYOUTS: Final = (types.PAYOUT_RETURNED, types.PAYOUT_CREDITED, types.PAYOUT_OVERDUE)
STATE_CHANGES: Final = frozenset({*_ORDER} - {types.CALLBACK_LATE, *_OF_PAYOUTS})
_TEXT_INSTANT: Final = "%Y-%m-%dT%H:%M:%S.%fZ"
WINDOW: Final = (
    "'provider': about.provider, 'settlement_file': about.settlement_file, 'ledger_window': about.ledger_window"
)
_MATCH: Final = f"'run_revision': about.revision, {segment_rows.MATCH}"
_EXCEPTION: Final = (
    "'exception_id': exception_id, 'exception_type': exception_type, 'owner': rows.owner, "
    f"'due_at': strftime(due_at, '{_TEXT_INSTANT}'), 'currency': currency, 'difference_minor': difference_minor"
)
_OPENED: Final = (
    f"{WINDOW}, 'run_revision': about.revision, 'severity': severity, 'lane': lane, 'subject_type': subject_type, "
    "'subject_id': subject_id, 'provider_reference': provider_reference, 'amount_minor': amount_minor, "
    "'match_id': match_id, 'previous_exception_id': previous_exception_id, 'explanation': explanation"
)
_CHANGED: Final = (
    f"{WINDOW}, 'run_revision': about.revision, 'amount_minor': amount_minor, "
    "'former_amount_minor': former_amount_minor, 'former_difference_minor': former_difference_minor, "
    "'match_id': match_id, 'explanation': explanation"
)
_LATE: Final = (
    f"{WINDOW}, 'run_revision': about.revision, 'provider_event_id': subject_id, "
    "'provider_reference': provider_reference, 'currency': currency, 'amount_minor': amount_minor, "
    f"'exception_id': exception_id, 'owner': rows.owner, 'due_at': strftime(due_at, '{_TEXT_INSTANT}')"
)
_PAYOUT: Final = (
    f"{WINDOW}, 'run_revision': about.revision, 'payout_provider': payout_provider, 'payout_id': payout_id, "
    "'batch_id': batch_id, 'currency': currency, 'paid_out_minor': paid_out_minor, 'credited_minor': credited_minor, "
    "'fee_minor': fee_minor, 'returned_minor': returned_minor, 'credited_on': cast(credited_on as varchar), "
    "'match_id': match_id, 'status': status"
)
# What is emitted again when it changes: with other amounts it is another fact, though the row keeps its id.
_MATCH_KEY: Final = ("match_id", "settlement_minor", "ledger_minor")
_EXCEPTION_KEY: Final = ("exception_id", "amount_minor", "difference_minor")
_REVISION: Final = "cast(about.revision as varchar)"
_MADE: Final = "status = 'confirmed'"
_REVERSED: Final = "status = 'reversed'"
_OWN: Final = "run_id = (select run_id from about)"
_OPEN: Final = " and status <> 'resolved'"
_ENDED: Final = "resolved_run_id = (select run_id from about)"
# An exception of an earlier run that this one leaves open, with other amounts or another match.
_KEPT: Final = "run_id <> (select run_id from about) and status <> 'resolved'"


@dataclass(frozen=True)
class Fact:
    """Rows that are events: each part is an expression over a row of `source` (as `rows`) and `about`.

    `is_return` is false for what is emitted unless it was before, true for what is emitted only then (`first` is the
    fact that was emitted then), null for a fact that can be true once only. It `follows` what the log said last of its
    subject: where something else was said meanwhile, there is nothing to emit. What `is_of_row` follows from a row of
    the revision's `matches` alone, which then represents it.
    """

    event_type: str
    subject: str
    key: Sequence[str]
    actor: str
    data: str
    source: str
    is_return: bool | None = None
    first: tuple[str, Sequence[str]] | None = None
    follows: Sequence[str] = ()
    is_of_row: bool = False

    def sql(self, is_emitted_again: bool, *, whole: bool) -> str:
        """A select of these events; where nothing was emitted before, nothing needs to be looked up."""
        first_type, first_key = self.first or (self.event_type, self.key)
        subject = f"{self.subject} as subject"
        event_id, data = _id(self.event_type, self.key), f"cast(to_json({{{self.data}}}) as varchar)"
        row = "" if whole else ", cast(null as bigint) as match_row"
        if self.is_of_row and not whole:
            event_id, data, row = (
                "cast(null as varchar)",
                "cast(null as varchar)",
                ", rows.file_row_number as match_row",
            )
            subject = subject if is_emitted_again else "cast(null as varchar) as subject"
        select = (
            f"select {event_id} as event_id, '{self.event_type}' as event_type, "
            f"{_ORDER.index(self.event_type)} as type_rank, {subject}, {self.actor} as actor, "
            f"{data} as data{row} from {self.source} as rows cross join about"
        )
        if not is_emitted_again:
            return select
        if self.is_return is not None:
            kind = "semi" if self.is_return else "anti"
            select += f" {kind} join emitted on {_id(first_type, first_key)} = emitted.event_id"
        if self.follows:
            kinds = ", ".join(f"'{event_type}'" for event_type in self.follows)
            select += f" left join last_states on {self.subject} = last_states.subject"
            select += f" where coalesce(last_states.event_type in ({kinds}), true)"
        return select


def facts_of(kind: RunKind) -> list[Fact]:
    """Every fact that a run of this kind may emit."""
    of_payouts = _payouts() if kind == run_kinds.BANK else ()
    return [
        *of_payouts,
        *_matches_made(),
        *_matches_reversed(),
        *_exceptions_opened(),
        *_exceptions_changed(),
        *_exceptions_resolved(),
    ]


def _payouts() -> Iterator[Fact]:
    """What a run of a bank account is the first to say of a payout: credited by a match, taken back, overdue.

    A further part that comes back, or a provider's word after the bank's, is another fact.
    """
    key = ("payout_provider", "payout_id", "currency")
    for event_type, condition, what in (
        (types.PAYOUT_CREDITED, "status in ('credited', 'partially_credited')", {"match_id": "coalesce(match_id, '')"}),
        (
            types.PAYOUT_RETURNED,
            "status in ('returned', 'failed')",
            {"returned_minor": "cast(returned_minor as varchar)", "status": "status"},
        ),
        (types.PAYOUT_OVERDUE, "status = 'overdue'", {}),
    ):
        said = _rows("payout_states_earlier", condition)
        new = _left_out(_rows("payout_states_now", condition), said, [*key, *what])
        yield Fact(event_type, "payout_id", [*key, *what.values()], "about.actor", _PAYOUT, new, is_return=False)


def _matches_made() -> Iterator[Fact]:
    """Matches this revision makes and the one before did not; and those it reverses no longer, which hold again."""
    made = _left_out(_rows("matches_now", _MADE), _rows("matches_before", _MADE), _MATCH_KEY)
    new = f"{WINDOW}, 'run_revision': about.revision, {segment_rows.NEW_MATCH}"
    yield Fact(types.MATCH_CREATED, "match_id", ["match_id"], "about.actor", new, made, is_return=False, is_of_row=True)
    back = f"{WINDOW}, {_MATCH}, 'restored_by_revision': about.revision"
    yield Fact(
        types.MATCH_CREATED,
        "match_id",
        ["match_id", _REVISION],
        "about.actor",
        back,
        made,
        is_return=True,
        first=(types.MATCH_CREATED, ["match_id"]),
    )
    confirmed = "(select match_id from matches_earlier group by match_id having bool_and(status = 'confirmed'))"
    dropped = _left_out(_rows("matches_before", _REVERSED), _rows("matches_now", _REVERSED), ["match_id"])
    yield Fact(
        types.MATCH_CREATED,
        "match_id",
        ["match_id", "about.run_id", _REVISION],
        f"'{SYSTEM_ACTOR}'",
        back,
        f"(select * from {dropped} as dropped semi join {confirmed} as confirmed using (match_id))",
        follows=[types.MATCH_REVERSED],
    )


def _matches_reversed() -> Iterator[Fact]:
    """Matches of earlier runs that this one takes back, and its own that this revision does not find any more."""
    # A suggestion that is replaced is published as reversed as well; it was never emitted.
    confirmed = "(select match_id from matches_earlier where status = 'confirmed')"
    reversals = _left_out(_rows("matches_now", _REVERSED), _rows("matches_before", _REVERSED), _MATCH_KEY)
    source = f"(select * from {reversals} as reversals semi join {confirmed} as confirmed using (match_id))"
    data = f"{WINDOW}, {_MATCH}, 'withdrawn_by_revision': cast(null as bigint)"
    key = ["match_id", "about.run_id"]
    fact = Fact(
        types.MATCH_REVERSED,
        "match_id",
        key,
        f"'{SYSTEM_ACTOR}'",
        data,
        source,
        is_return=False,
        follows=[types.MATCH_CREATED],
    )
    yield fact
    yield replace(fact, key=[*key, _REVISION], is_return=True, first=(types.MATCH_REVERSED, key))
    yield Fact(
        types.MATCH_REVERSED,
        "match_id",
        [*key, "'withdrawn'", _REVISION],
        f"'{SYSTEM_ACTOR}'",
        f"{WINDOW}, {_MATCH}, 'withdrawn_by_revision': about.revision",
        _left_out(_rows("matches_before", _MADE), _rows("matches_now", _MADE), _MATCH_KEY),
        follows=[types.MATCH_CREATED],
    )


def _exceptions_opened() -> Iterator[Fact]:
    """Exceptions this revision opens and the one before did not; late callbacks have an event of their own as well."""
    opened = _left_out(_rows("exceptions_now", _OWN), _rows("exceptions_before", _OWN), _EXCEPTION_KEY)
    key = ["exception_id", "about.run_id"]
    first = (types.EXCEPTION_OPENED, key)
    yield Fact(
        types.EXCEPTION_OPENED, "exception_id", key, "about.actor", f"{_EXCEPTION}, {_OPENED}", opened, is_return=False
    )
    yield Fact(
        types.EXCEPTION_REOPENED,
        "exception_id",
        [*key, _REVISION],
        f"'{SYSTEM_ACTOR}'",
        f"{_EXCEPTION}, {_reason_of_run('finds it', 'reopened_by_revision')}",
        opened,
        is_return=True,
        first=first,
    )
    yield Fact(
        types.CALLBACK_LATE,
        "subject_id",
        key,
        "about.actor",
        _LATE,
        _rows(opened, "exception_type = 'late_callback'"),
        is_return=False,
    )


def _exceptions_changed() -> Iterator[Fact]:
    """Open exceptions of earlier runs that show other amounts by this revision, or again those of the earlier runs."""
    earlier = (
        "(select exception_id, amount_minor as former_amount_minor, difference_minor as former_difference_minor "
        "from exceptions_earlier "
        "qualify row_number() over (partition by exception_id order by run_sequence desc nulls last) = 1)"
    )
    other = "(amount_minor, difference_minor) is distinct from (former_amount_minor, former_difference_minor)"
    now, before = _rows("exceptions_now", _KEPT), _rows("exceptions_before", _KEPT)
    changed = (
        f"(select * from {_left_out(now, before, _EXCEPTION_KEY)} join {earlier} using (exception_id) where {other})"
    )
    fact = Fact(
        types.EXCEPTION_CHANGED,
        "exception_id",
        ["exception_id", "about.run_id", _REVISION],
        f"'{SYSTEM_ACTOR}'",
        f"{_EXCEPTION}, {_CHANGED}",
        changed,
    )
    yield fact
    back = (
        "(select dropped.* replace (former_amount_minor as amount_minor, former_difference_minor as difference_minor, "
        "amount_minor as former_amount_minor, difference_minor as former_difference_minor) "
        f"from (select * from {before} join {earlier} using (exception_id) where {other}) as dropped "
        "anti join exceptions_now using (exception_id))"
    )
    yield replace(fact, source=back)


def _exceptions_resolved() -> Iterator[Fact]:
    """Exceptions the run ends (matched late, superseded), those a revision no longer finds or no longer resolves."""
    late_now, late_before = (_rows(f"exceptions_{when}", _ENDED) for when in ("now", "before"))
    key = ["exception_id", "about.run_id", "resolution"]
    fact = Fact(
        types.EXCEPTION_RESOLVED,
        "exception_id",
        key,
        f"'{SYSTEM_ACTOR}'",
        f"{_EXCEPTION}, 'resolution': resolution, 'decision_id': cast(null as varchar), "
        "'reason': cast(null as varchar), 'withdrawn_by_revision': cast(null as bigint)",
        _left_out(late_now, late_before, ["exception_id"]),
        is_return=False,
        follows=_OPENING,
    )
    yield fact
    yield replace(fact, key=[*key, _REVISION], is_return=True, first=(types.EXCEPTION_RESOLVED, key))
    yield Fact(
        types.EXCEPTION_RESOLVED,
        "exception_id",
        ["exception_id", "about.run_id", "'withdrawn'", _REVISION],
        f"'{SYSTEM_ACTOR}'",
        f"{_EXCEPTION}, {_reason_of_run('does not find it as it was told', 'withdrawn_by_revision')}",
        _left_out(_rows("exceptions_before", _OWN), _rows("exceptions_now", _OWN), _EXCEPTION_KEY),
        follows=_OPENING,
    )
    # Unless the run that opened it has withdrawn it since, and emits that. What a decision matched and gave back
    # this run may have opened itself.
    still_open = (
        "(select exception_id from exceptions_earlier group by exception_id "
        "having arg_max(status, run_sequence) <> 'resolved' "
        f"union select exception_id from {_rows('exceptions_now', _OWN + _OPEN)} as now "
        f"semi join {_rows('exceptions_before', _OWN)} as before using (exception_id))"
    )
    unresolved = _left_out(late_before, late_now, ["exception_id"])
    yield Fact(
        types.EXCEPTION_REOPENED,
        "exception_id",
        ["exception_id", "about.run_id", "'unresolved'", _REVISION],
        f"'{SYSTEM_ACTOR}'",
        f"{_EXCEPTION}, {_reason_of_run('does not resolve it', 'reopened_by_revision')}",
        f"(select * from {unresolved} as unresolved semi join {still_open} as still_open using (exception_id))",
        follows=[types.EXCEPTION_RESOLVED],
    )


def _rows(relation: str, condition: str) -> str:
    return f"(select * from {relation} as filtered where {condition})"


def _left_out(these: str, others: str, key: Sequence[str]) -> str:
    """The rows of `these` for which `others` has none of the same key, null for null."""
    same = " and ".join(f"these.{column} is not distinct from others.{column}" for column in key)
    return f"(select * from {these} as these anti join {others} as others on {same})"


def _id(event_type: str, key: Sequence[str]) -> str:
    return event_id_sql(f"'{event_type}'", ["about.tenant", *key])


def _reason_of_run(what: str, revision: str) -> str:
    return (
        "'resolution': cast(null as varchar), 'decision_id': cast(null as varchar), "
        f"'reason': 'revision ' || about.revision || ' of the run {what}', '{revision}': about.revision"
    )
