"""The two ways to play a script: in the event loop, and in a thread that waits. What is asked does not belong here."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from functools import wraps
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar, cast, overload

import httpx

from zentra_pipeline.client.exchange import Listing, Lost, Page, Pause, Reply, Request, Script, Session

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_LOST: Final = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError, httpx.ProxyError)


class AsyncTransport:
    """Plays scripts with an httpx.AsyncClient."""

    def __init__(self, session: Session, client: httpx.AsyncClient) -> None:
        self.session = session
        self.client = client

    async def play(self, script: Script[T]) -> T:
        """What a script comes to."""
        outcome: Reply | Lost | None = None
        while True:
            try:
                effect = script.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(effect, Pause):
                await asyncio.sleep(effect.seconds)
                outcome = None
                continue
            try:
                outcome = _reply(await self.client.request(**_arguments(effect)))
            except _LOST as cause:
                outcome = _lost(cause)


class SyncTransport:
    """Plays scripts with an httpx.Client."""

    def __init__(self, session: Session, client: httpx.Client) -> None:
        self.session = session
        self.client = client

    def play(self, script: Script[T]) -> T:
        """What a script comes to."""
        outcome: Reply | Lost | None = None
        while True:
            try:
                effect = script.send(outcome)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(effect, Pause):
                time.sleep(effect.seconds)
                outcome = None
                continue
            try:
                outcome = _reply(self.client.request(**_arguments(effect)))
            except _LOST as cause:
                outcome = _lost(cause)


class AsyncNoun:
    """A group of calls."""

    def __init__(self, transport: AsyncTransport) -> None:
        self.transport = transport


class SyncNoun:
    """A group of calls."""

    def __init__(self, transport: SyncTransport) -> None:
        self.transport = transport


class AsyncItems(Generic[T]):
    """A list that is read page by page as it is gone through with `async for`."""

    def __init__(self, transport: AsyncTransport, listing: Listing[T]) -> None:
        self._transport = transport
        self._listing = listing

    async def __aiter__(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for item in page.items:
                yield item

    async def pages(self) -> AsyncIterator[Page[T]]:
        """The same by pages, each with the cursor behind it."""
        cursor, is_more = self._listing.after, True
        while is_more:
            page = await self._transport.play(self._listing.page(cursor))
            yield page
            cursor, is_more = page.next, page.next is not None


class SyncItems(Generic[T]):
    """A list that is read page by page as it is gone through with `for`."""

    def __init__(self, transport: SyncTransport, listing: Listing[T]) -> None:
        self._transport = transport
        self._listing = listing

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.items

    def pages(self) -> Iterator[Page[T]]:
        """The same by pages, each with the cursor behind it."""
        cursor, is_more = self._listing.after, True
        while is_more:
            page = self._transport.play(self._listing.page(cursor))
            yield page
            cursor, is_more = page.next, page.next is not None


class AsyncMethod(Protocol[P, T_co]):
    """A call of the async client: its members as keywords, or as one mapping behind what is positional."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co]: ...

    @overload
    def __call__(self, *content: str | Mapping[str, Any]) -> Coroutine[Any, Any, T_co]: ...


class Method(Protocol[P, T_co]):
    """A call that answers at once: its members as keywords, or as one mapping behind what is positional."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co: ...

    @overload
    def __call__(self, *content: str | Mapping[str, Any]) -> T_co: ...


class AsyncCall(Generic[P, T]):
    """An operation as an async method of a noun."""

    def __init__(self, operation: Callable[Concatenate[Session, P], Script[T]]) -> None:
        self._operation = operation

    def __get__(self, noun: AsyncNoun, owner: type[AsyncNoun]) -> AsyncMethod[P, T]:
        @wraps(self._operation)
        async def call(*args: Any, **kwargs: Any) -> T:
            return await noun.transport.play(_applied(self._operation, noun.transport.session, args, kwargs))

        return cast(AsyncMethod[P, T], call)


class SyncCall(Generic[P, T]):
    """An operation as a method of a noun."""

    def __init__(self, operation: Callable[Concatenate[Session, P], Script[T]]) -> None:
        self._operation = operation

    def __get__(self, noun: SyncNoun, owner: type[SyncNoun]) -> Method[P, T]:
        @wraps(self._operation)
        def call(*args: Any, **kwargs: Any) -> T:
            return noun.transport.play(_applied(self._operation, noun.transport.session, args, kwargs))

        return cast(Method[P, T], call)


class AsyncList(Generic[P, T]):
    """A listing as a method of a noun."""

    def __init__(self, operation: Callable[Concatenate[Session, P], Listing[T]]) -> None:
        self._operation = operation

    def __get__(self, noun: AsyncNoun, owner: type[AsyncNoun]) -> Method[P, AsyncItems[T]]:
        @wraps(self._operation)
        def call(*args: Any, **kwargs: Any) -> AsyncItems[T]:
            return AsyncItems(noun.transport, _applied(self._operation, noun.transport.session, args, kwargs))

        return cast(Method[P, AsyncItems[T]], call)


class SyncList(Generic[P, T]):
    """A listing as a method of a noun."""

    def __init__(self, operation: Callable[Concatenate[Session, P], Listing[T]]) -> None:
        self._operation = operation

    def __get__(self, noun: SyncNoun, owner: type[SyncNoun]) -> Method[P, SyncItems[T]]:
        @wraps(self._operation)
        def call(*args: Any, **kwargs: Any) -> SyncItems[T]:
            return SyncItems(noun.transport, _applied(self._operation, noun.transport.session, args, kwargs))

        return cast(Method[P, SyncItems[T]], call)


def _applied(operation: Callable[..., T], session: Session, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> T:
    """The operation with its arguments; a mapping in the last place is its keywords. TypeError for one given twice."""
    if args and isinstance(args[-1], Mapping):
        return operation(session, *args[:-1], **args[-1], **kwargs)
    return operation(session, *args, **kwargs)


def _arguments(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.path,
        "params": dict(request.parameters),
        "headers": dict(request.headers),
        "content": request.body,
    }


def _reply(response: httpx.Response) -> Reply:
    headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, headers, response.content)


def _lost(cause: Exception) -> Lost:
    return Lost(cause, was_sent=not isinstance(cause, _NOT_SENT))
