"""The types of event and what the data of each holds; the one place that says so. Making events does not belong here.

Amounts are integers of minor units with the currency beside them, instants UTC with `Z`, days `YYYY-MM-DD`.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"}, pattern=r"Z$")]
Day = Annotated[str, Field(json_schema_extra={"format": "date"})]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Revision = Annotated[int, Field(ge=1)]


class EventData(BaseModel):
    """What an event says beyond its attributes; nothing that is not named here."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class OfWindow(EventData):
    """Which money it is about."""

    provider: str
    settlement_file: str = Field(description="Settlement file of the run.")
    ledger_window: Day = Field(description="Ledger window of the run.")


class RunCreated(OfWindow):
    """A reconciliation run was asked for the first time."""

    owner: str = Field(description="Who answers for the run.")


class RunFailed(RunCreated):
    """A run ended without publishing anything new."""

    failure: str = Field(description="Why, and what to do.")


class MatchFact(OfWindow):
    """A match of settlement lines with ledger movements."""

    run_revision: Revision = Field(description="Revision of the run that says so.")
    match_id: str
    match_run_id: str = Field(description="The run that made the match.")
    rule: str = Field(description="The pass that found it.")
    cardinality: str
    method: str
    currency: str
    settlement_minor: int
    ledger_minor: int
    difference_minor: int = Field(description="Settlement minus ledger.")
    provider_reference: str | None
    line_id: str | None = Field(description="The first settlement line.")
    transaction_id: str | None = Field(description="The first ledger transaction.")


class MatchCreated(MatchFact):
    """A run matched lines and movements, or restored a match it had taken back."""

    restored_by_revision: Revision | None = Field(description="The revision that restored it, else null.")


class MatchReversed(MatchFact):
    """A match no longer holds: its group was matched again, or a new revision of its run does not find it."""

    withdrawn_by_revision: Revision | None = Field(description="The revision that does not find it, else null.")


class ExceptionFact(EventData):
    """An exception, whose it is and by when."""

    exception_id: str
    exception_type: str
    owner: str
    due_at: Instant | None
    currency: str
    difference_minor: int | None


class ExceptionOpened(ExceptionFact):
    """A run found a break."""

    provider: str
    settlement_file: str
    ledger_window: Day
    run_revision: Revision
    severity: str
    lane: str
    subject_type: str
    subject_id: str
    provider_reference: str | None
    amount_minor: int | None
    match_id: str | None
    previous_exception_id: str | None = Field(description="The resolved exception this one is a return of.")
    explanation: str = Field(description="Why, in a sentence with the values.")


class ExceptionChanged(ExceptionFact):
    """An open exception of an earlier run shows other amounts: what holds since this run."""

    provider: str
    settlement_file: str
    ledger_window: Day
    run_revision: Revision
    amount_minor: int | None
    former_amount_minor: int | None
    former_difference_minor: int | None
    match_id: str | None
    explanation: str = Field(description="Why, in a sentence with the values.")


class CallbackLate(EventData):
    """The first successful callback of a movement came after the review cut-off."""

    provider: str
    settlement_file: str
    ledger_window: Day
    run_revision: Revision
    provider_event_id: str
    provider_reference: str | None
    currency: str
    amount_minor: int | None
    exception_id: str
    owner: str
    due_at: Instant | None


class PayoutFact(OfWindow):
    """A payout, as a run of its bank account sees it; `provider` is `bank:` and the account."""

    run_revision: Revision
    payout_provider: str = Field(description="The provider that paid it out.")
    payout_id: str
    batch_id: str | None
    currency: str
    paid_out_minor: int
    credited_minor: int
    fee_minor: int = Field(description="What the bank kept.")
    returned_minor: int
    credited_on: Day | None
    match_id: str | None
    status: str


class PayoutCredited(PayoutFact):
    """A payout is in the bank, in whole or in part."""


class PayoutReturned(PayoutFact):
    """A payout was taken back by the bank, or its provider reports it failed or returned."""


class PayoutOverdue(PayoutFact):
    """A payout is not in the bank after the lag that its provider's profile allows."""


class ExceptionDecided(ExceptionFact):
    """Something was decided about an exception, by a person or by a run."""

    resolution: str | None
    decision_id: str | None = Field(description="The person's decision; null where a run says it.")
    reason: str | None


class ExceptionAssigned(ExceptionDecided):
    """An exception has a new owner."""


class ExceptionResolved(ExceptionDecided):
    """An exception is resolved, or a new revision of the run that opened it does not find it."""

    withdrawn_by_revision: Revision | None = None


class ExceptionReopened(ExceptionDecided):
    """A resolved exception is open again."""

    reopened_by_revision: Revision | None = None


class CloseoutCompleted(OfWindow):
    """A run was sealed."""

    closeout_id: str
    closeout_revision: Revision
    evidence_root: Digest
    seal_digest: Digest
    evidence_rows: int = Field(ge=0)
    prepared_by: str
    approved_by: str


class CloseoutAmended(CloseoutCompleted):
    """A later fact was sealed on top of a sealed closeout, which stays as it was."""

    amends: str = Field(description="The closeout_id of the predecessor.")
    reason: str


class PeriodCompleted(EventData):
    """A month was signed off: the closeouts of all its windows are sealed together."""

    closeout_id: str
    closeout_revision: Revision
    period: str = Field(description="The month, YYYY-MM.", pattern="^[0-9]{4}-[0-9]{2}$")
    windows: int = Field(ge=1, description="How many sealed windows it cites.")
    evidence_root: Digest = Field(description="RFC 6962 root over the windows it cites.")
    seal_digest: Digest
    prepared_by: str
    approved_by: str


class ChangedWindow(EventData):
    """A window that is other than the sign-off before says; closeouts before and after, null for none."""

    what: str = Field(description="amended or added.")
    provider: str
    ledger_window: Day
    run_id: str | None
    before: str | None
    after: str | None


class PeriodAmended(PeriodCompleted):
    """A month was signed off again, because windows of it have changed; the first sign-off stays as it was."""

    amends: str = Field(description="The closeout_id of the predecessor.")
    reason: str
    changes: list[ChangedWindow]


class MatchAmounts(EventData):
    """Matches of one currency and their amounts in minor units."""

    currency: str
    matches: int
    settlement_minor: int
    ledger_minor: int
    difference_minor: int = Field(description="Settlement minus ledger.")


class MatchSummary(OfWindow):
    """Data of `reconciliation.match.created` where an endpoint gets one event a run revision and rule."""

    run_id: str
    run_revision: Revision
    rule: str = Field(description="The pass that found them.")
    matches: int
    amounts: list[MatchAmounts]


class ProviderDrifted(EventData):
    """A file has columns that are not documented for its kind; they are kept in `raw`."""

    provider: str
    kind: str = Field(description="settlement, ledger, callbacks or internal_events.")
    file_id: str
    sha256: Digest = Field(description="Digest of the file's bytes as received.")
    unknown_columns: list[str] = Field(min_length=1)


RUN_CREATED: Final = "reconciliation.run.created"
RUN_FAILED: Final = "reconciliation.run.failed"
MATCH_CREATED: Final = "reconciliation.match.created"
MATCH_REVERSED: Final = "reconciliation.match.reversed"
EXCEPTION_OPENED: Final = "reconciliation.exception.opened"
EXCEPTION_CHANGED: Final = "reconciliation.exception.changed"
EXCEPTION_ASSIGNED: Final = "reconciliation.exception.assigned"
EXCEPTION_RESOLVED: Final = "reconciliation.exception.resolved"
EXCEPTION_REOPENED: Final = "reconciliation.exception.reopened"
CALLBACK_LATE: Final = "reconciliation.callback.late"
PAYOUT_CREDITED: Final = "reconciliation.payout.credited"
PAYOUT_RETURNED: Final = "reconciliation.payout.returned"
PAYOUT_OVERDUE: Final = "reconciliation.payout.overdue"
CLOSEOUT_COMPLETED: Final = "reconciliation.closeout.completed"
CLOSEOUT_AMENDED: Final = "reconciliation.closeout.amended"
PERIOD_COMPLETED: Final = "reconciliation.period.completed"
PERIOD_AMENDED: Final = "reconciliation.period.amended"
PROVIDER_DRIFTED: Final = "reconciliation.provider.drifted"
# Events of a file or of a month: no run is concerned.
OF_NO_RUN: Final = frozenset({PROVIDER_DRIFTED, PERIOD_COMPLETED, PERIOD_AMENDED})

DATA: Final[Mapping[str, type[EventData]]] = {
    RUN_CREATED: RunCreated,
    RUN_FAILED: RunFailed,
    MATCH_CREATED: MatchCreated,
    MATCH_REVERSED: MatchReversed,
    EXCEPTION_OPENED: ExceptionOpened,
    EXCEPTION_CHANGED: ExceptionChanged,
    EXCEPTION_ASSIGNED: ExceptionAssigned,
    EXCEPTION_RESOLVED: ExceptionResolved,
    EXCEPTION_REOPENED: ExceptionReopened,
    CALLBACK_LATE: CallbackLate,
    PAYOUT_CREDITED: PayoutCredited,
    PAYOUT_RETURNED: PayoutReturned,
    PAYOUT_OVERDUE: PayoutOverdue,
    CLOSEOUT_COMPLETED: CloseoutCompleted,
    CLOSEOUT_AMENDED: CloseoutAmended,
    PERIOD_COMPLETED: PeriodCompleted,
    PERIOD_AMENDED: PeriodAmended,
    PROVIDER_DRIFTED: ProviderDrifted,
}
# What a delivery says in place of the events of the log, where an endpoint does not ask for each.
SUMMARIES: Final[Mapping[str, type[EventData]]] = {MATCH_CREATED: MatchSummary}


def json_schema(event_type: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of a whole event of this type: the attributes of CloudEvents, ours, and its data.

    Where deliveries summarize, the data is that of one event or of a summary.
    """
    definitions: dict[str, Any] = {}
    data = _data_schema(DATA[event_type], definitions)
    description = data.pop("description")
    if event_type in SUMMARIES:
        summary = _data_schema(SUMMARIES[event_type], definitions)
        data = {"oneOf": [{"description": "One event, as the log has it.", **data}, summary]}
    text = {"type": "string", "minLength": 1}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": event_type,
        "description": description,
        "type": "object",
        "required": [
            *("specversion", "id", "type", "source", "subject", "time", "datacontenttype"),
            *("tenant", "actor", *(() if event_type in OF_NO_RUN else ("runid",)), "data"),
        ],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "pattern": "^evt_[0-9a-f]{32}$"},
            "type": {"const": event_type},
            "source": {"type": "string", "format": "uri-reference", "pattern": "^/tenants/"},
            "subject": text | {"description": "Id of what it happened to."},
            "time": {"type": "string", "format": "date-time", "pattern": "Z$"},
            "datacontenttype": {"const": "application/json"},
            "tenant": text,
            "actor": text | {"description": "Who did it; `system` where nobody did."},
            "runid": text,
            "sequence": {
                "type": "string",
                "pattern": "^[0-9]{20}$",
                "description": "Place in the tenant's event log, and the cursor to go on from; added by who reads it.",
            },
            "data": data,
        },
        "additionalProperties": False,
        **({"$defs": definitions} if definitions else {}),
    }


def _data_schema(model: type[EventData], definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of an event's data; what it refers to goes to the definitions of the whole."""
    data = model.model_json_schema()
    data.pop("title")
    definitions |= data.pop("$defs", {})
    for content in data["properties"].values():
        content.pop("title", None)  # the name once more
    return data


def schema_text(event_type: str) -> str:
    """The schema, as docs/events has it."""
    return json.dumps(json_schema(event_type), ensure_ascii=False, indent=2) + "\n"
