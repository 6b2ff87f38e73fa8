"""The Python client of the HTTP API. It needs httpx and pydantic alone: nothing here may import the pipeline's engines.

async with Zentra("https://zentra.example", token) as zentra:
    run = await zentra.reconciliation.runs.create(
        provider="rail_primary", settlement_file="set_2026_04_26", ledger_window="2026-04-26", owner="finance_ops"
    )
"""

from zentra_pipeline.client.clients import Zentra, ZentraSync
from zentra_pipeline.client.errors import (
    AnswerError,
    BusyError,
    ClientError,
    ConflictError,
    ConnectionLostError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    Problem,
    ProblemError,
    RunEndedError,
    ServerError,
    UnauthenticatedError,
    WaitTimeoutError,
    WebhookRejectedError,
)
from zentra_pipeline.client.exchange import Page, Retry
from zentra_pipeline.client.webhook import verify_webhook

__all__ = [
    "AnswerError",
    "BusyError",
    "ClientError",
    "ConflictError",
    "ConnectionLostError",
    "ForbiddenError",
    "InvalidError",
    "NotFoundError",
    "Page",
    "Problem",
    "ProblemError",
    "Retry",
    "RunEndedError",
    "ServerError",
    "UnauthenticatedError",
    "WaitTimeoutError",
    "WebhookRejectedError",
    "Zentra",
    "ZentraSync",
    "verify_webhook",
]
