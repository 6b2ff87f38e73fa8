"""The two clients and their nouns: which call has which name, in the event loop and outside it. Nothing else."""

from types import TracebackType

import httpx

from zentra_pipeline.client import operations
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


class AsyncExceptions(AsyncNoun):
    """Exceptions and decisions about them."""

    get = AsyncCall(operations.get_exception)
    decide = AsyncCall(operations.decide)
    list = AsyncList(operations.list_exceptions)


class SyncExceptions(SyncNoun):
    """Exceptions and decisions about them."""

    get = SyncCall(operations.get_exception)
    decide = SyncCall(operations.decide)
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
    """Closed windows."""

    calendar = AsyncCall(operations.closeout_calendar)


class AsyncPeriods(AsyncNoun):
    """Months and their sign-offs."""

    list = AsyncCall(operations.list_periods)
    get = AsyncCall(operations.get_period)
    sign_off = AsyncCall(operations.sign_off_period)
    close_windows = AsyncCall(operations.close_period_windows)
    journal = AsyncCall(operations.period_journal)


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
    """Closed windows."""

    calendar = SyncCall(operations.closeout_calendar)


class SyncPeriods(SyncNoun):
    """Months and their sign-offs."""

    list = SyncCall(operations.list_periods)
    get = SyncCall(operations.get_period)
    sign_off = SyncCall(operations.sign_off_period)
    close_windows = SyncCall(operations.close_period_windows)
    journal = SyncCall(operations.period_journal)


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
