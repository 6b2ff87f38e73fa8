"""Every call of the client, once: a script each, which either transport plays. Sockets and retries are elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

from pydantic import ValidationError

from zentra_pipeline.client.errors import AnswerError, RunEndedError, WaitTimeoutError
from zentra_pipeline.client.exchange import (
    Listing,
    Page,
    Pause,
    Request,
    Script,
    Session,
    answer_of,
    answered,
    get,
    post,
    read,
)
from zentra_pipeline.client.models import (
    Answer,
    Calendar,
    Event,
    ExceptionDetail,
    ExceptionRow,
    Intent,
    Journal,
    PaymentHistory,
    PeriodDetail,
    Periods,
    RawPage,
    Run,
    RunAccepted,
    RunDetail,
    RunRow,
    SignOff,
    Trace,
    Whoami,
    WindowOutcomes,
)

Item = TypeVar("Item", bound=Answer)

_RUNS: Final = "/reconciliation/runs"
_EXCEPTIONS: Final = "/reconciliation/exceptions"
_EVENTS: Final = "/events"
_INTENTS: Final = "/runtime/intents"
_PAYMENTS: Final = "/reconciliation/payments"
_PERIODS: Final = "/reconciliation/periods"
_CALENDAR: Final = "/reconciliation/calendar"
_LONGEST_POLL: Final = 5.0


def create_run(
    session: Session,
    *,
    provider: str | None = None,
    settlement_file: str | None = None,
    bank_account: str | None = None,
    ledger_window: date | str,
    owner: str,
    as_of: datetime | str | None = None,
    confirm: bool = False,
    no_settlement: bool = False,
    idempotency_key: str | None = None,
) -> Script[RunAccepted]:
    """Ask for a run; the same request again is the same run, however often a connection breaks.

    Of a provider by `provider` and `settlement_file`, of a bank account by `bank_account` alone.
    Raises InvalidError for a settlement file that was never ingested, and for what looks like a mistake unless you
    `confirm` it. `as_of` is an aware instant; `no_settlement` says that the provider settled nothing in the window.
    """
    stated = {"provider": provider, "settlement_file": settlement_file, "bank_account": bank_account}
    content = {
        **{name: value for name, value in stated.items() if value is not None},
        "ledger_window": str(ledger_window),
        "owner": owner,
        "as_of": instant(as_of),
        **({"confirm": True} if confirm else {}),
        **({"no_settlement": True} if no_settlement else {}),
    }
    key = idempotency_key or session.new_key()
    accepted = yield from answer_of(session, post(_RUNS, content, idempotency_key=key), RunAccepted)
    return accepted


def get_run(session: Session, run_id: str) -> Script[RunDetail]:
    """The status of a run, with every change of its status."""
    detail = yield from answer_of(session, get(below(_RUNS, run_id)), RunDetail)
    return detail


def wait_for_run(session: Session, run_id: str, *, timeout: float = 600.0, poll: float = 0.5) -> Script[RunDetail]:
    """The status of a run once it is finished; seconds between looks grow from `poll` to 5.

    Raises RunEndedError when it came to nothing, WaitTimeoutError when it takes longer than `timeout` seconds.
    """
    until = session.clock() + timeout
    while True:
        run = yield from get_run(session, run_id)
        if run.why_failed is not None:
            raise RunEndedError(run, run.why_failed)
        if run.is_finished:
            return run
        left = until - session.clock()
        if left <= 0:
            raise WaitTimeoutError(f"run {run_id} is {run.status} after {timeout:g} s; it goes on: wait for it again")
        yield Pause(min(poll, left))
        poll = min(poll * 1.5, max(poll, _LONGEST_POLL))


def void_run(session: Session, run_id: str, *, reason: str) -> Script[Run]:
    """Take back a run that somebody else asked for by mistake; later runs are made without it.

    Raises ForbiddenError for whoever asked for it, ConflictError while something sealed rests on it.
    """
    run = yield from answer_of(session, post(below(_RUNS, run_id, "void"), {"reason": reason}), Run)
    return run


def list_runs(
    session: Session,
    *,
    provider: str | None = None,
    status: str | None = None,
    ledger_window: date | str | None = None,
    after: str | None = None,
    page_size: int = 100,
) -> Listing[Run]:
    """Runs in order of creation."""
    wanted = {"provider": provider, "status": status, "ledger_window": ledger_window, "limit": page_size}
    return listing(session, _RUNS, Run, wanted, after)


def list_exceptions(
    session: Session,
    *,
    run_id: str | None = None,
    provider: str | None = None,
    status: str | None = None,
    exception_type: str | None = None,
    owner: str | None = None,
    lane: str | None = None,
    reference: str | None = None,
    overdue: bool | None = None,
    as_of: datetime | str | None = None,
    after: str | None = None,
    page_size: int = 100,
) -> Listing[ExceptionRow]:
    """Exceptions as they are now, those due first at the top; `as_of` is when to judge age and due dates at.

    `reference` is a provider reference, or the id of a line, transaction or callback event that they are about.
    """
    wanted = {"run_id": run_id, "provider": provider, "status": status, "exception_type": exception_type}
    wanted |= {"owner": owner, "lane": lane, "reference": reference}
    wanted |= {"overdue": None if overdue is None else str(overdue).lower(), "as_of": instant(as_of)}
    return listing(session, _EXCEPTIONS, ExceptionRow, wanted | {"limit": page_size}, after)


def get_exception(session: Session, exception_id: str) -> Script[ExceptionDetail]:
    """An exception with its history, and its `etag`."""
    detail = yield from _exception(session, get(below(_EXCEPTIONS, exception_id)))
    return detail


def decide(
    session: Session,
    exception_id: str,
    *,
    action: str,
    reason: str | None = None,
    owner: str | None = None,
    resolution: str | None = None,
    if_match: str | None = None,
) -> Script[ExceptionDetail]:
    """Record a decision and return the exception as it is then.

    With `if_match` (the `etag` of the state decided on) a state that has changed since is a ConflictError; the call is
    then not repeated when its answer is lost, for our own decision would be the change.
    """
    content = {"action": action, "reason": reason, "owner": owner, "resolution": resolution}
    expected = {} if if_match is None else {"if_match": if_match}
    path = below(_EXCEPTIONS, exception_id, "decisions")
    request = post(path, content, is_repeatable=if_match is None, **expected)
    detail = yield from _exception(session, request)
    return detail


def list_events(
    session: Session, *, after: str | None = None, type: str | None = None, page_size: int = 100
) -> Listing[Event]:
    """The events of the log so far, behind the `sequence` of one when given."""
    return listing(session, _EVENTS, Event, {"type": type, "limit": page_size}, after)


def follow_events(
    session: Session, *, after: str | None = None, type: str | None = None, poll: float = 2.0, page_size: int = 100
) -> Listing[Event]:
    """The events of the log and, `poll` seconds apart, what comes; it never ends by itself."""

    def page(cursor: str | None) -> Script[Page[Event]]:
        while True:
            request = get(_EVENTS, after=cursor, type=type, limit=page_size)
            raw = yield from answer_of(session, request, RawPage)
            cursor = raw.next or raw.last or cursor
            if raw.items:
                return Page(_items(raw, Event), cursor or "")
            yield Pause(poll)

    return Listing(page, after)


def create_intent(
    session: Session,
    *,
    intent_id: str,
    scope: str | None = None,
    money_model: str | None = None,
    primitives: Sequence[str] | None = None,
    actor: str | None = None,
    amount_minor: int | None = None,
    currency: str | None = None,
    provider: str | None = None,
    transfer: str | Mapping[str, Any] | None = None,
    movement_type: str | None = None,
    provider_reference: str | None = None,
    customer_account: str | None = None,
    reserved_account: str | None = None,
    settlement_account: str | None = None,
) -> Script[Intent]:
    """Ask for money to be moved, once for each `intent_id`; `amount_minor` in minor units of `currency`.

    Amount, currency and provider may follow in later calls under the same id; the actor is the token's unless stated.
    Raises ForbiddenError when policy refuses it (which is recorded), ConflictError when the id names another one.
    """
    stated = {
        "intent_id": intent_id,
        "scope": scope,
        "money_model": money_model,
        "primitives": None if primitives is None else list(primitives),
        "actor": actor,
        "amount_minor": amount_minor,
        "currency": currency,
        "provider": provider,
        "transfer": dict(transfer) if isinstance(transfer, Mapping) else transfer,
        "movement_type": movement_type,
        "provider_reference": provider_reference,
        "customer_account": customer_account,
        "reserved_account": reserved_account,
        "settlement_account": settlement_account,
    }
    content = {name: value for name, value in stated.items() if value is not None}
    intent = yield from answer_of(session, post(_INTENTS, content), Intent)
    return intent


def trace_intent(session: Session, intent_id: str) -> Script[Trace]:
    """The six states of an intent and what shows each."""
    trace = yield from answer_of(session, get(below(_INTENTS, intent_id, "trace")), Trace)
    return trace


def list_rollforward(
    session: Session, run_id: str, *, after: str | None = None, page_size: int = 100
) -> Listing[RunRow]:
    """The statement of a run, a row a currency."""
    return listing(session, below(_RUNS, run_id, "rollforward"), RunRow, {"limit": page_size}, after)


def list_conservation(
    session: Session, run_id: str, *, after: str | None = None, page_size: int = 100
) -> Listing[RunRow]:
    """Where every row of a run went, by side and currency."""
    return listing(session, below(_RUNS, run_id, "conservation"), RunRow, {"limit": page_size}, after)


def list_open_items(
    session: Session, run_id: str, *, after: str | None = None, page_size: int = 100
) -> Listing[RunRow]:
    """Everything unmatched when a run ended."""
    return listing(session, below(_RUNS, run_id, "open-items"), RunRow, {"limit": page_size}, after)


def payment_history(session: Session, reference: str, *, provider: str | None = None) -> Script[PaymentHistory]:
    """Everything that happened to a payment, by its reference or the id of anything it consists of.

    Raises NotFoundError where nothing is known by it.
    """
    history = yield from answer_of(session, get(_PAYMENTS, reference=reference, provider=provider), PaymentHistory)
    return history


def closeout_calendar(
    session: Session, provider: str, *, first: date | str | None = None, last: date | str | None = None
) -> Script[Calendar]:
    """Every expected window of a provider, sealed, open or missing; without days from its first to its last."""
    days = {"from": None if first is None else str(first), "to": None if last is None else str(last)}
    calendar = yield from answer_of(session, get(_CALENDAR, provider=provider, **days), Calendar)
    return calendar


def list_periods(session: Session) -> Script[Periods]:
    """Every month that has a run or a closeout, the newest first."""
    found = yield from answer_of(session, get(_PERIODS), Periods)
    return found


def get_period(session: Session, period: str) -> Script[PeriodDetail]:
    """A month, `2026-04`: windows, totals, sign-offs, what blocks the next, what changed since the last."""
    found = yield from answer_of(session, get(below(_PERIODS, period)), PeriodDetail)
    return found


def sign_off_period(
    session: Session, period: str, *, action: str, reason: str | None = None, seen: Mapping[str, str] | None = None
) -> Script[SignOff]:
    """`prepare` the sign-off of a month, or `approve` what somebody else prepared; a repeat changes nothing.

    `seen` is the sign-off that was looked at, by its id with its `prepared_at`: another one is a ConflictError, as a
    window that is not sealed is. ForbiddenError for whoever prepared it.
    """
    content = {"action": action, "reason": reason, "seen": seen}
    found = yield from answer_of(session, post(below(_PERIODS, period, "sign-off"), content), SignOff)
    return found


def close_period_windows(
    session: Session,
    period: str,
    *,
    action: str,
    provider: str | None = None,
    ledger_window: date | str | None = None,
    no_activity: bool = False,
    seen: Mapping[str, str] | None = None,
) -> Script[WindowOutcomes]:
    """`prepare` every window of a month that can be, or `approve` what others prepared; each by itself.

    With `seen`, closeouts by id with the `prepared_at` that was looked at, only these are approved, and only so.
    """
    stated = {"provider": provider, "ledger_window": None if ledger_window is None else str(ledger_window)}
    content: dict[str, Any] = {"action": action, "seen": seen, **({"no_activity": True} if no_activity else {})}
    content |= {name: value for name, value in stated.items() if value is not None}
    found = yield from answer_of(session, post(below(_PERIODS, period, "windows"), content), WindowOutcomes)
    return found


def period_journal(session: Session, period: str, *, provider: str | None = None) -> Script[Journal]:
    """Proposed journal entries of a month for fees, write-offs, adjustments and FX; nothing is posted anywhere."""
    found = yield from answer_of(session, get(below(_PERIODS, period, "journal"), provider=provider), Journal)
    return found


def whoami(session: Session) -> Script[Whoami]:
    """For whom the token acts, and what it may."""
    found = yield from answer_of(session, get("/whoami"), Whoami)
    return found


def _exception(session: Session, request: Request) -> Script[ExceptionDetail]:
    reply = yield from answered(session, request)
    detail = read(reply, ExceptionDetail)
    return detail.model_copy(update={"etag": reply.headers.get("etag")})


def listing(
    session: Session, path: str, model: type[Item], wanted: Mapping[str, Any], after: str | None
) -> Listing[Item]:
    """A list at a path, read page by page from behind `after`."""

    def page(cursor: str | None) -> Script[Page[Item]]:
        raw = yield from answer_of(session, get(path, after=cursor, **wanted), RawPage)
        return Page(_items(raw, model), raw.next)

    reader: Callable[[str | None], Script[Page[Item]]] = page
    return Listing(reader, after)


def _items(raw: RawPage, model: type[Item]) -> tuple[Item, ...]:
    try:
        return tuple(model.model_validate(item) for item in raw.items)
    except ValidationError as cause:
        raise AnswerError(f"an item is not a {model.__name__}: check the address and the server's version") from cause


def below(prefix: str, name: str, *further: str) -> str:
    """A path below `prefix`; an id is one segment of it, whatever characters it has."""
    if name in ("", ".", ".."):
        raise ValueError(f"{name!r} is not an id")
    return "/".join((prefix, quote(name, safe=""), *further))


def instant(value: datetime | str | None) -> str | None:
    """An instant as the API takes it; text as it is."""
    if not isinstance(value, datetime):
        return value
    from zentra_pipeline.instants import instant_text

    return instant_text(value)
