"""Group commit of callbacks: concurrent deliveries of a tenant share a transaction, and each is answered behind it.

A thread per tenant writes; whoever delivers waits for the commit its delivery is in. Does not belong here: verifying
(sources), and what becomes of a delivery (inbox).
"""

import asyncio
import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

from zentra_pipeline.errors import ZentraError
from zentra_pipeline.store import inbox as inbox_store
from zentra_pipeline.store.inbox import Receipt
from zentra_pipeline.tenants.tenant import Tenant

_MOST_AT_ONCE: Final = 1_000
_MOST_BYTES_WAITING: Final = 128 * 1024 * 1024


class IntakeFullError(ZentraError):
    """More deliveries wait for the disk than memory should hold: the sender tries again later."""

    kind = "unavailable"


@dataclass(frozen=True)
class _Waiting:
    """A delivery and whoever waits for its commit."""

    receipt: Receipt
    loop: asyncio.AbstractEventLoop
    is_new: asyncio.Future[bool]


class TenantIntake:
    """The inbox of one tenant, written by one thread for as long as the server runs."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._has_work = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._write, name=f"intake-{tenant.name}", daemon=True)
        self._thread.start()

    async def keep(self, receipt: Receipt) -> bool:
        """Whether a delivery is new, once it is committed; whatever keeps it from being committed is raised."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(receipt, loop, loop.create_future())
        with self._has_work:
            if self._is_closed or self._bytes > _MOST_BYTES_WAITING:
                raise IntakeFullError("too many deliveries are pending: retry in a moment")
            self._waiting.append(waiting)
            self._bytes += len(receipt.body)
            self._has_work.notify()
        return await waiting.is_new

    def close(self) -> None:
        """Commit what waits and end the thread."""
        with self._has_work:
            self._is_closed = True
            self._has_work.notify()
        self._thread.join()

    def _write(self) -> None:
        while batch := self._next_batch():
            try:
                with self._tenant.writing() as connection:
                    is_new = inbox_store.add(connection, [waiting.receipt for waiting in batch])
            except Exception as cause:  # raised to whoever waits; the thread goes on with the next deliveries
                _answer(batch, cause)
            else:
                _answer(batch, is_new)

    def _next_batch(self) -> list[_Waiting]:
        """Deliveries as soon as there are any; none once the intake is closed and empty."""
        with self._has_work:
            while not self._waiting and not self._is_closed:
                self._has_work.wait()
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
            self._bytes -= sum(len(waiting.receipt.body) for waiting in batch)
            return batch


class Intake:
    """The inboxes of a home's tenants, each opened with its first delivery."""

    def __init__(self) -> None:
        self._of_tenant: dict[Tenant, TenantIntake] = {}
        self._opening = threading.Lock()

    def of(self, tenant: Tenant) -> TenantIntake:
        """The inbox of a tenant."""
        found = self._of_tenant.get(tenant)
        if found is None:
            with self._opening:
                found = self._of_tenant.get(tenant) or TenantIntake(tenant)
                self._of_tenant[tenant] = found
        return found

    def close(self) -> None:
        """Close every inbox; deliveries that wait are committed before."""
        with self._opening:
            opened = list(self._of_tenant.values())
            self._of_tenant.clear()
        for intake in opened:
            intake.close()


def _answer(batch: list[_Waiting], outcome: list[bool] | Exception) -> None:
    """Notify every waiter of a batch, with one call into each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[bool], bool | Exception]]] = {}
    for place, waiting in enumerate(batch):
        found = outcome if isinstance(outcome, Exception) else outcome[place]
        by_loop.setdefault(waiting.loop, []).append((waiting.is_new, found))
    for loop, answers in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, answers)


def _settle(answers: list[tuple[asyncio.Future[bool], bool | Exception]]) -> None:
    for future, found in answers:
        if future.done():  # whoever waited has gone
            continue
        if isinstance(found, Exception):
            future.set_exception(found)
        else:
            future.set_result(found)
