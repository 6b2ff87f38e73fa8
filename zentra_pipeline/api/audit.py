"""Writes who asked for what into the tenant's audit log: every request of an identified caller, by whichever route.

Entries are collected and written a few times a second, many in one transaction: a read costs no write of its own.
Where they cannot be written, and too many wait, requests are refused instead of going unrecorded. Does not belong here:
the chain (store.audit), decisions (which cite themselves).
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zentra_pipeline import logs
from zentra_pipeline.errors import UnavailableError
from zentra_pipeline.instants import instant_text
from zentra_pipeline.machine_errors import explained
from zentra_pipeline.outages import OutageLog
from zentra_pipeline.store import audit
from zentra_pipeline.store.audit import Entry
from zentra_pipeline.tenants.access import Identity
from zentra_pipeline.tenants.tenant import Tenant

# Requests of an identified caller that are no entry: figures without a row of anybody's, asked for four times a minute.
NOT_RECORDED: Final = frozenset({"/metrics"})
# A delivery that is accepted is in the inbox; one that is refused is an entry.
_CALLBACKS: Final = "/callbacks/"
_ACCEPTED: Final = 200
_GATHER_SECONDS: Final = 0.5
_MOST_WAITING: Final = 10_000
_MOST_WRITTEN: Final = 1_000
_CONSOLE: Final = "/console"
_SIGN_IN: Final = "/console/sign-in"  # what comes with it vouches for somebody, and is kept nowhere

Asked = tuple[Tenant, Identity, str | None]
_asked: ContextVar[list[Asked] | None] = ContextVar("zentra_audit_asked", default=None)


def note(tenant: Tenant, identity: Identity, in_place_of: str | None = None) -> None:
    """Say whose the request is that is being answered: whoever finds out calls this."""
    asked = _asked.get()
    if asked is not None:
        asked[:] = [(tenant, identity, in_place_of)]


class Auditor:
    """Collects entries of one server and writes them, each tenant's in the order in which they came."""

    def __init__(self, gather_seconds: float = _GATHER_SECONDS) -> None:
        self._gather = gather_seconds
        self._waiting: deque[tuple[Tenant, Entry]] = deque()
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._outage = OutageLog(lambda message: logs.write("audit", message, logs.ERROR))

    def require_room(self) -> None:
        """UnavailableError where so many entries wait that no more requests are answered."""
        if len(self._waiting) >= _MOST_WAITING:
            raise UnavailableError("the audit log cannot be written, and what is not recorded is not answered")

    def add(self, tenant: Tenant, entry: Entry) -> None:
        """Take an entry, to be written within a second."""
        with self._changed:
            self._waiting.append((tenant, entry))
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                self._thread.start()
            self._changed.notify()
        if self._is_closed:
            self.flush()

    def flush(self) -> bool:
        """Write what waits; whether all of it was written."""
        with self._writing:
            while self._waiting:
                batch = [self._waiting[place] for place in range(min(len(self._waiting), _MOST_WRITTEN))]
                tenants = list(dict.fromkeys(tenant for tenant, _ in batch))
                failed = {tenant for tenant in tenants if not self._written(tenant, batch)}
                with self._changed:
                    for _ in batch:
                        self._waiting.popleft()
                    self._waiting.extendleft(reversed([each for each in batch if each[0] in failed]))
                if failed:
                    return False
        return True

    def close(self) -> None:
        """Write what waits, and what comes from now on at once."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._is_closed:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or bool(self._waiting))
                self._changed.wait_for(lambda: self._is_closed, self._gather)
            self.flush()

    def _written(self, tenant: Tenant, batch: list[tuple[Tenant, Entry]]) -> bool:
        entries = [entry for owner, entry in batch if owner == tenant]
        try:
            with tenant.writing() as connection:
                audit.append(connection, entries)
        except Exception as error:  # the next attempt may succeed, and the other tenants' go on
            self._outage.note(f"{tenant.name}: {explained(error) or repr(error)}")
            return False
        return True


class AuditLog:
    """The app with an entry a request, before its answer begins: whoever is known has asked, whatever they got."""

    def __init__(self, app: ASGIApp, auditor: Auditor, now: Callable[[], datetime]) -> None:
        self._app = app
        self._auditor = auditor
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in NOT_RECORDED:
            await self._app(scope, receive, send)
            return
        asked: list[Asked] = []
        token = _asked.set(asked)
        is_recorded = False

        def record(status: int) -> None:
            nonlocal is_recorded
            if asked and not is_recorded:
                is_recorded = True
                if status == _ACCEPTED and scope["path"].startswith(_CALLBACKS):
                    return
                self._auditor.add(asked[0][0], _entry(scope, asked[0], status, self._now()))

        async def recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                record(message["status"])
            await send(message)

        with ExitStack() as stack:
            if logs.known("request_id") is None:
                stack.enter_context(logs.about(request_id=logs.new_request_id()))
            try:
                await self._app(scope, receive, recorded)
            finally:
                record(500)
                _asked.reset(token)


def _entry(scope: Scope, asked: Asked, status: int, now: datetime) -> Entry:
    _, identity, in_place_of = asked
    path = str(scope["path"])
    details: dict[str, Any] = {} if in_place_of is None else {"in_place_of": in_place_of}
    query = scope["query_string"].decode("latin-1")
    if query and not path.startswith(_SIGN_IN):
        details["query"] = audit.kept_text(query)
    return Entry(
        at=instant_text(now),
        kind=audit.READ if scope["method"] in ("GET", "HEAD") else audit.REQUEST,
        via="console" if path == _CONSOLE or path.startswith(f"{_CONSOLE}/") else "http",
        what=audit.kept_text(f"{scope['method']} {path}"),
        actor=identity.actor,
        role=identity.role,
        token_id=identity.token_id,
        request_id=logs.known("request_id"),
        status=status,
        details=details,
    )
