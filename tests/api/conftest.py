"""A home with two tenants, each with a run of a shipped story and a token a role, and the API in this process."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from zentra_pipeline.api.app import create_app
from zentra_pipeline.api.service import Limits
from zentra_pipeline.reconcile.window_run import run_window
from zentra_pipeline.scenarios.scenario import SCENARIOS, Scenario, load_scenario
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.tenants import access, tenancy
from zentra_pipeline.tenants.tenant import Tenant

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ROLES = ("service", "operator", "approver", "analyst", "admin")
PROVIDER = "rail_primary"
# Each tenant's story; the ids of one are unknown to the other.
STORIES = {"acme": "a_bad_day", "globex": "unmatched_provider_row"}


@dataclass(frozen=True)
class Books:
    """A home with its tokens, by tenant and role."""

    home: Home
    tokens: Mapping[tuple[str, str], str]

    def tenant(self, name: str) -> Tenant:
        return Tenant.of(self.home, name)

    def paths(self, name: str) -> TenantPaths:
        return self.home.tenant(name)


class Client:
    """Asks an app in this process, from any thread: the app lives in an event loop of its own."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://zentra")

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        asked = self._client.request(method, path, **options)
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result(timeout=120)

    def close(self) -> None:
        async def leave() -> None:
            await self._client.aclose()
            self.app.state.service.intake.close()
            self.app.state.service.audit.close()

        asyncio.run_coroutine_threadsafe(leave(), self._loop).result(timeout=120)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(frozen=True)
class Api:
    """The API as somebody with a role at a tenant reaches it; without a role, as nobody."""

    client: Client
    books: Books
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_(self, role: str, tenant: str = "acme") -> "Api":
        return self.with_token(self.books.tokens[tenant, role])

    def with_token(self, token: str) -> "Api":
        return Api(self.client, self.books, {"Authorization": f"Bearer {token}"})

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        return self.client.request("GET", path, params=parameters, headers=dict(self.headers))

    def post(
        self,
        path: str,
        body: object = None,
        *,
        content: bytes | None = None,
        media_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> httpx.Response:
        """Send a value as JSON, or `content` as it is."""
        content = json.dumps(body).encode() if content is None else content
        sent = {**self.headers, "Content-Type": media_type, **(headers or {})}
        return self.client.request("POST", path, params=parameters, content=content, headers=sent)

    def items(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """All items of a list, page by page."""
        found, after = [], None
        while True:
            answer = self.get(path, **parameters, **({} if after is None else {"after": after}))
            assert answer.status_code == 200, answer.text
            found += answer.json()["items"]
            after = answer.json()["next"]
            if after is None:
                return found


def make_books(folder: Path) -> Books:
    """A home below `folder` with the stories ingested and not run."""
    home = Home.at(folder / "home")
    tenancy.init_home(home)
    tokens = {}
    for tenant in STORIES:
        tenancy.add_tenant(home, tenant, NOW)
        for role in ROLES:
            made, _ = access.create_token(home, tenant=tenant, actor=f"{role}_{tenant}", role=role, now=NOW)
            tokens[tenant, role] = made
        ingest_story(Tenant.of(home, tenant))
    return Books(home, tokens)


def story(tenant: str) -> Scenario:
    return load_scenario(SCENARIOS / STORIES[tenant])


def ingest_story(tenant: Tenant) -> None:
    scenario = story(tenant.name)
    (tenant.paths.providers / f"{scenario.provider}.yml").write_text(json.dumps(scenario.profile), encoding="utf-8")
    for step in scenario.steps:
        if step.ingest is not None:
            scenario.ingest(tenant, step.ingest, NOW)


def run_story(tenant: Tenant) -> None:
    scenario = story(tenant.name)
    for step in scenario.steps:
        if step.run is not None:
            run_window(tenant, scenario.request(step.run))


@pytest.fixture(scope="session")
def reconciled(tmp_path_factory: pytest.TempPathFactory) -> Books:
    """Both stories run; tests that share it add to it and take nothing away."""
    books = make_books(tmp_path_factory.mktemp("api"))
    for tenant in STORIES:
        run_story(Tenant.of(books.home, tenant))
    return books


@contextmanager
def serving(books: Books, limits: Limits | None = None) -> Iterator[Api]:
    """The API of a home for as long as somebody looks."""
    client = Client(create_app(books.home, limits))
    try:
        yield Api(client, books)
    finally:
        client.close()


@pytest.fixture(scope="module")
def api(reconciled: Books) -> Iterator[Api]:
    """The API of the reconciled home, as nobody."""
    with serving(reconciled) as served:
        yield served


@pytest.fixture(scope="module")
def own_books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    """A home of the module's own: stories ingested, nothing run."""
    return make_books(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def own_api(own_books: Books) -> Iterator[Api]:
    """The API of the module's own home."""
    with serving(own_books) as served:
        yield served
