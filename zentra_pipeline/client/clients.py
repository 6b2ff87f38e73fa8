"""The two clients and their nouns: which call has which name, in the event loop and outside it. Nothing else."""

from types import TracebackType

import httpx

from zentra_pipeline.client import closing_operations, file_operations, operations, webhook_operations
from zentra_pipeline.client.exchange import Retry, Session
from zentra_pipeline.client.transports import (
    AsyncCall,
    AsyncList,
    AsyncNoun,
    AsyncTransport,
    SyncCall,
    SyncList,
    SyncNoun,
    SyncTransport,
)
from zentra_pipeline.errors import UsageError

DEFAULT_TIMEOUT = 30.0


class AsyncRuns(AsyncNoun):
    """Reconciliation runs."""

    create = AsyncCall(operations.create_run)
    get = AsyncCall(operations.get_run)
    wait = AsyncCall(operations.wait_for_run)
    void = AsyncCall(operations.void_run)
    list = AsyncList(operations.list_runs)
    rollforward = AsyncList(operations.list_rollforward)
    conservation = AsyncList(operations.list_conservation)
    open_items = AsyncList(operations.list_open_items)
    matches = AsyncList(closing_operations.list_matches)
    three_way = AsyncList(closing_operations.list_three_way)
    exceptions = AsyncList(closing_operations.list_run_exceptions)
    events = AsyncList(closing_operations.list_run_events)
    evidence = AsyncList(closing_operations.list_evidence)
    workbook = AsyncCall(closing_operations.run_workbook)


class SyncRuns(SyncNoun):
    """Reconciliation runs."""

    create = SyncCall(operations.create_run)
    get = SyncCall(operations.get_run)
    wait = SyncCall(operations.wait_for_run)
    void = SyncCall(operations.void_run)
    list = SyncList(operations.list_runs)
    rollforward = SyncList(operations.list_rollforward)
    conservation = SyncList(operations.list_conservation)
    open_items = SyncList(operations.list_open_items)
    matches = SyncList(closing_operations.list_matches)
    three_way = SyncList(closing_operations.list_three_way)
    exceptions = SyncList(closing_operations.list_run_exceptions)
    events = SyncList(closing_operations.list_run_events)
    evidence = SyncList(closing_operations.list_evidence)
    workbook = SyncCall(closing_operations.run_workbook)


class AsyncExceptions(AsyncNoun):
    """Exceptions and decisions about them."""

    get = AsyncCall(operations.get_exception)
    decide = AsyncCall(operations.decide)
    sheet = AsyncCall(file_operations.exception_sheet)
    decide_sheet = AsyncCall(file_operations.decide_sheet)
    attach = AsyncCall(file_operations.attach)
    attachment = AsyncCall(file_operations.get_attachment)
    list = AsyncList(operations.list_exceptions)


class SyncExceptions(SyncNoun):
    """Exceptions and decisions about them."""

    get = SyncCall(operations.get_exception)
    decide = SyncCall(operations.decide)
    sheet = SyncCall(file_operations.exception_sheet)
    decide_sheet = SyncCall(file_operations.decide_sheet)
    attach = SyncCall(file_operations.attach)
    attachment = SyncCall(file_operations.get_attachment)
    list = SyncList(operations.list_exceptions)


class AsyncEvents(AsyncNoun):
    """The event log."""

    list = AsyncList(operations.list_events)
    follow = AsyncList(operations.follow_events)


class SyncEvents(SyncNoun):
    """The event log."""

    list = SyncList(operations.list_events)
    follow = SyncList(operations.follow_events)


class AsyncIntents(AsyncNoun):
    """Intents and their traces."""

    create = AsyncCall(operations.create_intent)
    trace = AsyncCall(operations.trace_intent)


class SyncIntents(SyncNoun):
    """Intents and their traces."""

    create = SyncCall(operations.create_intent)
    trace = SyncCall(operations.trace_intent)


class AsyncPayments(AsyncNoun):
    """Payments as all sides see them."""

    history = AsyncCall(operations.payment_history)


class AsyncCloseouts(AsyncNoun):
    """Windows and their closeouts, and what waits for approval."""

    calendar = AsyncCall(operations.closeout_calendar)
    get = AsyncCall(closing_operations.get_closeout)
    step = AsyncCall(closing_operations.close_run)
    approvals = AsyncList(closing_operations.list_approvals)
    bundle = AsyncCall(closing_operations.run_bundle)
    report = AsyncCall(closing_operations.run_report)


class AsyncPeriods(AsyncNoun):
    """Months and their sign-offs."""

    list = AsyncCall(operations.list_periods)
    get = AsyncCall(operations.get_period)
    sign_off = AsyncCall(operations.sign_off_period)
    close_windows = AsyncCall(operations.close_period_windows)
    journal = AsyncCall(operations.period_journal)
    journal_sheet = AsyncCall(closing_operations.period_journal_sheet)
    bundle = AsyncCall(closing_operations.period_bundle)
    report = AsyncCall(closing_operations.period_report)


class AsyncFiles(AsyncNoun):
    """Files and callbacks that come over HTTP."""

    upload = AsyncCall(file_operations.upload_file)
    forward_callback = AsyncCall(file_operations.forward_callback)


class AsyncWebhooks(AsyncNoun):
    """Outbound webhooks."""

    add = AsyncCall(webhook_operations.add_endpoint)
    list = AsyncList(webhook_operations.list_endpoints)
    get = AsyncCall(webhook_operations.get_endpoint)
    change = AsyncCall(webhook_operations.change_endpoint)
    remove = AsyncCall(webhook_operations.remove_endpoint)
    rotate = AsyncCall(webhook_operations.rotate_secret)
    deliveries = AsyncList(webhook_operations.list_deliveries)
    delivery = AsyncCall(webhook_operations.get_delivery)
    attempts = AsyncList(webhook_operations.list_attempts)
    replay = AsyncCall(webhook_operations.replay)


class AsyncServer(AsyncNoun):
    """The server itself."""

    health = AsyncCall(file_operations.health)
    problem_kind = AsyncCall(file_operations.problem_kind)


class AsyncToken(AsyncNoun):
    """The token that the client has."""

    whoami = AsyncCall(operations.whoami)


class AsyncReconciliation(AsyncNoun):
    """Runs, exceptions, payments, closeouts and events."""

    def __init__(self, transport: AsyncTransport) -> None:
        super().__init__(transport)
        self.runs = AsyncRuns(transport)
        self.exceptions = AsyncExceptions(transport)
        self.payments = AsyncPayments(transport)
        self.closeouts = AsyncCloseouts(transport)
        self.periods = AsyncPeriods(transport)
        self.events = AsyncEvents(transport)


class SyncPayments(SyncNoun):
    """Payments as all sides see them."""

    history = SyncCall(operations.payment_history)


class SyncCloseouts(SyncNoun):
    """Windows and their closeouts, and what waits for approval."""

    calendar = SyncCall(operations.closeout_calendar)
    get = SyncCall(closing_operations.get_closeout)
    step = SyncCall(closing_operations.close_run)
    approvals = SyncList(closing_operations.list_approvals)
    bundle = SyncCall(closing_operations.run_bundle)
    report = SyncCall(closing_operations.run_report)


class SyncPeriods(SyncNoun):
    """Months and their sign-offs."""

    list = SyncCall(operations.list_periods)
    get = SyncCall(operations.get_period)
    sign_off = SyncCall(operations.sign_off_period)
    close_windows = SyncCall(operations.close_period_windows)
    journal = SyncCall(operations.period_journal)
    journal_sheet = SyncCall(closing_operations.period_journal_sheet)
    bundle = SyncCall(closing_operations.period_bundle)
    report = SyncCall(closing_operations.period_report)


class SyncFiles(SyncNoun):
    """Files and callbacks that come over HTTP."""

    upload = SyncCall(file_operations.upload_file)
    forward_callback = SyncCall(file_operations.forward_callback)


class SyncWebhooks(SyncNoun):
    """Outbound webhooks."""

    add = SyncCall(webhook_operations.add_endpoint)
    list = SyncList(webhook_operations.list_endpoints)
    get = SyncCall(webhook_operations.get_endpoint)
    change = SyncCall(webhook_operations.change_endpoint)
    remove = SyncCall(webhook_operations.remove_endpoint)
    rotate = SyncCall(webhook_operations.rotate_secret)
    deliveries = SyncList(webhook_operations.list_deliveries)
    delivery = SyncCall(webhook_operations.get_delivery)
    attempts = SyncList(webhook_operations.list_attempts)
    replay = SyncCall(webhook_operations.replay)


class SyncServer(SyncNoun):
    """The server itself."""

    health = SyncCall(file_operations.health)
    problem_kind = SyncCall(file_operations.problem_kind)


class SyncToken(SyncNoun):
    """The token that the client has."""

    whoami = SyncCall(operations.whoami)


class SyncReconciliation(SyncNoun):
    """Runs, exceptions, payments, closeouts and events."""

    def __init__(self, transport: SyncTransport) -> None:
        super().__init__(transport)
        self.runs = SyncRuns(transport)
        self.exceptions = SyncExceptions(transport)
        self.payments = SyncPayments(transport)
        self.closeouts = SyncCloseouts(transport)
        self.periods = SyncPeriods(transport)
        self.events = SyncEvents(transport)


class AsyncRuntime(AsyncNoun):
    """Intents."""

    def __init__(self, transport: AsyncTransport) -> None:
        super().__init__(transport)
        self.intents = AsyncIntents(transport)


class SyncRuntime(SyncNoun):
    """Intents."""

    def __init__(self, transport: SyncTransport) -> None:
        super().__init__(transport)
        self.intents = SyncIntents(transport)


class Zentra:
    """The API of a Zentra server, in the event loop; the token says for which tenant and as whom.

    `timeout` is seconds for each attempt of a call, `retry` how often and when a call is tried again. Use it with
    `async with`, or end it with `aclose`.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: Retry | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=_checked(base_url), headers=_headers(token), timeout=timeout, transport=transport
        )
        play = AsyncTransport(Session(retry or Retry()), self._http)
        self.reconciliation = AsyncReconciliation(play)
        self.runtime = AsyncRuntime(play)
        self.files = AsyncFiles(play)
        self.webhooks = AsyncWebhooks(play)
        self.server = AsyncServer(play)
        self.token = AsyncToken(play)
        self.events = self.reconciliation.events

    @staticmethod
    def sync(
        base_url: str, token: str, *, timeout: float = DEFAULT_TIMEOUT, retry: Retry | None = None
    ) -> "ZentraSync":
        """The same outside an event loop."""
        return ZentraSync(base_url, token, timeout=timeout, retry=retry)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> "Zentra":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class ZentraSync:
    """The API of a Zentra server, outside an event loop; arguments and calls as Zentra's, without `await`.

    Use it with `with`, or end it with `close`.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        retry: Retry | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=_checked(base_url), headers=_headers(token), timeout=timeout, transport=transport
        )
        play = SyncTransport(Session(retry or Retry()), self._http)
        self.reconciliation = SyncReconciliation(play)
        self.runtime = SyncRuntime(play)
        self.files = SyncFiles(play)
        self.webhooks = SyncWebhooks(play)
        self.server = SyncServer(play)
        self.token = SyncToken(play)
        self.events = self.reconciliation.events

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "ZentraSync":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _checked(base_url: str) -> str:
    url = httpx.URL(base_url)
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(f"address {base_url!r} is not the URL of a server: use https://host[:port]")
    return base_url


def _headers(token: str) -> dict[str, str]:
    if not (token and token.isascii() and token.isprintable() and " " not in token):
        raise UsageError("the token is not valid: use one that `zentra token create` printed")
    return {"authorization": f"Bearer {token}", "accept": "application/json"}
