"""What every route works with: the home, its limits, the clock and the intake; made once an app, nothing global.

Does not belong here: anything that a route decides.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request

from zentra_pipeline.api.audit import Auditor
from zentra_pipeline.api.callback_formats import CallbackFormats
from zentra_pipeline.api.identities import Identities
from zentra_pipeline.api.rate import Buckets
from zentra_pipeline.ingest.callback_commit import Intake
from zentra_pipeline.settings import Home


def present() -> datetime:
    """What the clock says."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Limits:
    """What the server takes: requests a second of one token, steadily and at once, and bytes of an uploaded file."""

    requests_per_second: float = 5_000
    requests_at_once: int = 10_000
    upload_bytes: int = 2 * 1024 * 1024 * 1024


@dataclass(frozen=True)
class Service:
    """One app's home, limits, intake of callbacks, writer of the audit log, and its clock."""

    home: Home
    limits: Limits
    buckets: Buckets
    identities: Identities
    intake: Intake = field(default_factory=Intake)
    callback_formats: CallbackFormats = field(default_factory=CallbackFormats)
    audit: Auditor = field(default_factory=Auditor)
    now: Callable[[], datetime] = present


async def _of_request(request: Request) -> Service:
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


Serving = Annotated[Service, Depends(_of_request)]
