"""Routes of proposed journal entries: a month's lines, and as CSV. Which there are is the published table's to say."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from zentra_pipeline import identifiers
from zentra_pipeline.api import bodies, problems
from zentra_pipeline.api.security import Caller, Reader
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.desk import journal as proposals
from zentra_pipeline.desk.journal import Journal
from zentra_pipeline.errors import UsageError

router = APIRouter(prefix="/reconciliation/periods/{period}", tags=["periods"])


class JournalQuery(BaseModel):
    """Which lines."""

    model_config = ConfigDict(extra="forbid")

    provider: str | None = Field(default=None, max_length=64)


class JournalLine(BaseModel):
    """A line of a proposed entry; debits equal credits per entry and currency."""

    tenant_id: str
    entry_id: str
    provider: str
    ledger_window: date
    run_id: str
    kind: str
    account: str
    direction: str
    amount_minor: int
    currency: str
    provider_reference: str | None
    item_id: str | None
    match_id: str | None
    exception_id: str | None
    decision_id: str | None
    decided_by: str | None
    reason: str | None
    rests_on: str


class AccountTotal(BaseModel):
    """Debits and credits of an account in a currency."""

    currency: str
    account: str
    debit_minor: int
    credit_minor: int


class JournalView(BaseModel):
    """The proposed entries of a month; `has_accounts` is whether policy.yml maps accounts, else there are none."""

    period: str
    has_accounts: bool
    items: list[JournalLine]
    totals: list[AccountTotal]


@router.get(
    "/journal",
    summary="Proposed journal entries of a month.",
    responses={200: {"model": JournalView}, **problems.responses("not-found", "not-configured")},
)
def show(caller: Reader, period: str, query: Annotated[JournalQuery, Query()]) -> Response:
    """Fees, write-offs, adjustments and FX by the account map of policy.yml; nothing is posted anywhere."""
    found = of_month(caller, period, query.provider)
    content: dict[str, Any] = {"period": period, "has_accounts": found.has_accounts}
    return json_response(content | {"items": list(found.lines), "totals": found.totals})


@router.get(
    "/journal.csv",
    response_class=Response,
    summary="Proposed journal entries as CSV.",
    responses={
        200: {"description": "RFC 4180.", "content": {bodies.CSV: {"schema": {"type": "string"}}}},
        **problems.responses("not-found", "not-configured"),
    },
)
def sheet(caller: Reader, period: str, query: Annotated[JournalQuery, Query()]) -> Response:
    """The same lines, debit and credit in major units; text that would be a formula gets an apostrophe."""
    return as_file(of_month(caller, period, query.provider), ",")


def as_file(journal: Journal, separator: str) -> Response:
    """The lines to be saved."""
    headers = {
        "Content-Disposition": f'attachment; filename="journal-{journal.period}.csv"',
        "X-Content-Type-Options": "nosniff",
    }
    content = proposals.as_csv(journal, separator)
    return Response(content, headers=headers, media_type="text/csv; charset=utf-8; header=present")


def of_month(caller: Caller, period: str, provider: str | None) -> Journal:
    """The journal of a month; not found where the text is no month."""
    try:
        identifiers.period(period)
    except UsageError as cause:
        raise problems.not_found() from cause
    return proposals.of_month(caller.paths, period, provider)
