"""What the API answers, as the client hands it out; members a newer server adds are kept. Calls do not belong here.

Amounts are integers of minor units beside their ISO 4217 currency, instants aware UTC datetimes.
"""

import re
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """A JSON object of the API."""

    model_config = ConfigDict(frozen=True, extra="allow")


class RunAccepted(Answer):
    """A run that was asked for: `evidence` names what each row of its evidence will hold, `links` lead to results."""

    id: str
    status: str
    event: str
    evidence: tuple[str, ...]
    links: dict[str, str]


class Run(Answer):
    """A run in its current revision; 0 before the first is published."""

    id: str
    provider: str
    settlement_file: str
    ledger_window: date
    owner: str
    actor: str
    as_of: datetime
    status: str
    closeout_status: str
    revision: int
    inputs_digest: str | None
    failure: str | None
    created_at: datetime
    links: dict[str, str]


class Execution(Answer):
    """How the execution of a run that was asked for over HTTP goes: queued, launched, done or failed."""

    status: str
    requested_by: str
    requested_at: datetime
    finished_at: datetime | None
    failure: str | None


class Transition(Answer):
    """One change of a run's status."""

    status: str
    actor: str
    at: datetime
    detail: str | None


class RunDetail(Run):
    """A run with its history."""

    execution: Execution | None
    transitions: tuple[Transition, ...]

    @property
    def is_finished(self) -> bool:
        """Whether nothing more happens until somebody asks for it."""
        if self.execution is not None:
            return self.execution.status in ("done", "failed")
        return self.status in ("in_review", "closing", "closed", "failed")

    @property
    def why_failed(self) -> str | None:
        """Why its last execution came to nothing; null while it goes on, and when it came to something."""
        if not self.is_finished:
            return None
        if self.execution is not None and self.execution.status == "failed":
            return self.execution.failure or self.failure or "no reason was recorded"
        return self.failure or "no reason was recorded" if self.status == "failed" else None


class ExceptionRow(Answer):
    """An exception as it is now: what broke, on which subject, whose it is and by when."""

    exception_id: str
    run_id: str
    exception_type: str
    severity: str
    subject_type: str
    subject_id: str
    provider_reference: str | None
    currency: str | None
    amount_minor: int | None
    difference_minor: int | None
    owner: str
    lane: str
    status: str
    due_at: datetime | None
    opened_at: datetime
    resolution: str | None
    explanation: str | None
    candidates: list[dict[str, Any]]
    age_business_days: int | None
    is_overdue: bool
    overdue_business_days: int


class Decision(Answer):
    """What somebody decided about an exception, and the rule it passed."""

    decision_id: str
    action: str
    actor: str
    decided_at: datetime
    result: str
    owner: str | None
    resolution: str | None
    reason: str | None
    run_id: str
    policy: dict[str, Any]


class Search(Answer):
    """What a match pass looked for about an exception, over which windows, and with which result."""

    rule: str
    searched_key: str | None
    windows_from: date | None
    windows_to: date | None
    movements_examined: int | None
    result: str


class ExceptionDetail(ExceptionRow):
    """An exception with its history and what may follow; `etag` is its state, for `if_match`."""

    title: str
    remedy: str
    version: int
    possible: tuple[str, ...]
    proposed_resolution: str | None
    proposed_by: str | None
    decisions: tuple[Decision, ...]
    ledger_search: tuple[Search, ...] = ()
    etag: str | None = None


class Event(Answer):
    """A CloudEvent 1.0; `sequence` is its place in the log, null in a webhook's delivery of it."""

    id: str
    type: str
    source: str
    subject: str
    time: datetime
    tenant: str
    actor: str
    runid: str | None = None
    data: dict[str, Any]
    sequence: str | None = None


class Intent(Answer):
    """An intent that was accepted: `transaction_id` is the movement to reconcile, null while members are `missing`."""

    intent_id: str
    status: str
    is_accepted: bool
    missing: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    policy: dict[str, Any] | None
    transaction_id: str | None
    recorded_at: datetime | None
    submitted_by: str | None
    links: dict[str, str]


class TraceState(Answer):
    """One of an intent's six states; `evidence` points at what shows it, `policy` is such as limit_check.passed."""

    state: str
    is_reached: bool
    at: datetime | None
    actor: str | None
    policy: str | None = None
    policy_result: str | None
    detail: str
    evidence: dict[str, Any] = Field(default_factory=dict)


class FlowAccount(Answer):
    """An account that an intent's money passes; `net_minor` is credits less debits posted for it."""

    role: str
    account: str
    currency: str | None
    net_minor: int
    state: str


class Trace(Intent):
    """An intent, accepted, refused or ingested as a file, with its six states and its ledger flow in order."""

    request: dict[str, Any]
    states: tuple[TraceState, ...]
    ledger_flow: tuple[FlowAccount, ...] = ()

    @property
    def reached(self) -> tuple[str, ...]:
        """The states it has reached, in order."""
        return tuple(state.state for state in self.states if state.is_reached)

    def state(self, name: str) -> TraceState:
        """One of the states by its name."""
        return next(state for state in self.states if state.state == name)

    def account(self, role: str) -> FlowAccount:
        """One of the accounts by its role: customer, reserved, settlement, merchant or payout."""
        return next(account for account in self.ledger_flow if account.role == role)


class RawPage(Answer):
    """A page of any list."""

    items: tuple[dict[str, Any], ...]
    next: str | None
    last: str | None = None


class RunRow(Answer):
    """A row of a run's statement, conservation or open items: the columns of the published table."""

    run_id: str
    currency: str


class Row(Answer):
    """A row of a published table: its columns are members."""


class Closeout(Answer):
    """A revision of a run's closeout."""

    closeout_id: str
    run_id: str
    revision: int
    status: str
    prepared_by: str
    prepared_at: str
    approved_by: str | None
    sealed_at: datetime | None
    evidence_root: str
    evidence_rows: int
    evidence_status: str
    seal_digest: str | None
    amends: str | None
    reason: str | None


class CloseoutState(Answer):
    """A run's closeouts, newest last; `pending_approval` is what there is to approve of the prepared one."""

    run_id: str
    closeout_status: str
    closeouts: tuple[Closeout, ...]
    pending_approval: dict[str, Any] | None


class CloseoutStep(Closeout):
    """A closeout after a step; `is_new` is false for a repeat."""

    is_new: bool
    pending_approval: dict[str, Any] | None


class Approval(Answer):
    """Something that waits for a second person: an exception's proposal, a closeout, or a month's sign-off."""

    kind: str
    id: str
    exception: dict[str, Any] | None
    closeout: dict[str, Any] | None
    sign_off: dict[str, Any] | None = None


class Download(Answer):
    """A file that was handed out; `name` is what the server calls it, and no path."""

    content: bytes
    media_type: str
    disposition: str | None

    @property
    def name(self) -> str | None:
        """The file's name in plain letters."""
        found = re.search(r'filename="([^"/\\\\]+)"', self.disposition or "")
        return found[1] if found else None


class UploadedFile(Answer):
    """What became of an upload: rows staged, rows in quarantine and why."""

    file_id: str
    sha256: str
    rows: int
    staged: int
    quarantined: int
    unchanged: bool
    unknown_columns: tuple[str, ...]
    reasons: dict[str, int]


class CallbackReceipt(Answer):
    """A callback that was received: `is_new` is false for one known already."""

    id: str
    is_new: bool
    verification: str


class SheetRow(Answer):
    """What became of a row of a sheet, and why where it was refused."""

    row: int
    exception_id: str
    is_accepted: bool
    problem: str | None
    reason: str | None


class SheetResult(Answer):
    """What became of every row of a sheet, in order."""

    accepted: int
    refused: int
    items: tuple[SheetRow, ...]


class Health(Answer):
    """That the server answers, and its version."""

    status: str
    version: str


class ProblemKind(Answer):
    """A kind of problem and what to do about it."""

    type: str
    title: str
    status: int
    remedy: str


class Endpoint(Answer):
    """Where events are sent to; `secret` only in the answer that makes it."""

    id: str
    url: str
    events: tuple[str, ...]
    each_match: bool
    status: str
    status_reason: str | None
    secret: str | None = None


class Delivery(Answer):
    """An event that is sent to an endpoint, and how that goes."""

    id: str
    endpoint: str
    event_id: str
    event_type: str
    status: str
    attempts: int
    next_attempt_at: datetime | None


class Attempt(Answer):
    """One attempt to deliver."""


class Replayed(Answer):
    """How many deliveries were made for what is sent again."""

    deliveries: int


class PaymentHistory(Answer):
    """All that is known of a payment, oldest first: `state` is what it is now, in words."""

    provider_reference: str
    providers: tuple[str, ...]
    state: tuple[str, ...]
    entries: tuple[dict[str, Any], ...]


class WindowState(Answer):
    """A ledger window and the status of its closeout."""

    ledger_window: date
    state: str
    settlement_file: str
    run_id: str | None
    closeout_id: str | None


class Calendar(Answer):
    """The windows of a range of days, in order."""

    items: tuple[WindowState, ...]


class SignOff(Answer):
    """A revision of a month's sign-off; `is_new` and `pending_approval` only of the one that a step answers."""

    closeout_id: str
    period: str
    revision: int
    status: str
    prepared_by: str
    prepared_at: str
    approved_by: str | None
    sealed_at: datetime | None
    evidence_root: str
    evidence_rows: int
    seal_digest: str | None
    amends: str | None
    reason: str | None
    is_new: bool = True
    pending_approval: dict[str, Any] | None = None


class Period(Answer):
    """A month: `state` is open, prepared, signed_off or reopened; `windows` counts its windows by state."""

    period: str
    state: str
    windows: dict[str, int]
    sign_off: SignOff | None


class Periods(Answer):
    """Months, the newest first."""

    items: tuple[Period, ...]


class PeriodDetail(Period):
    """A month with its windows by provider, its totals, its sign-offs, what blocks and what changed since one."""

    calendar: dict[str, tuple[WindowState, ...]]
    totals: dict[str, Any]
    sign_offs: tuple[SignOff, ...]
    changes: tuple[dict[str, Any], ...]
    blockers: tuple[dict[str, Any], ...]


class WindowOutcome(Answer):
    """What became of a window of a month: prepared, sealed, blocked or refused, and why."""

    provider: str
    ledger_window: date
    run_id: str | None
    closeout_id: str | None
    status: str
    detail: str | None


class WindowOutcomes(Answer):
    """What became of each window."""

    items: tuple[WindowOutcome, ...]


class Journal(Answer):
    """Proposed journal entries of a month: lines, and debits and credits by account."""

    period: str
    has_accounts: bool
    items: tuple[dict[str, Any], ...]
    totals: tuple[dict[str, Any], ...]


class Whoami(Answer):
    """For whom the token acts, and what it may."""

    tenant: str
    actor: str
    role: str
    in_place_of: str | None = None
    token_id: str
    may: tuple[str, ...]
    decisions: tuple[str, ...]
