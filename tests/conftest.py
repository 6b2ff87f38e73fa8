"""What every test finds: a passphrase for signing keys, and a database for its stores.

The passphrase is set so that none is kept in the user's own configuration. Stores are SQLite files, unless the
test asks for PostgreSQL, or the suite runs on it: then all are in a fresh database, a schema each. It does with
ZENTRA_TEST_STORES=postgresql (a server of the tests' own) and with ZENTRA_TEST_DATABASE_URL (a server that is there).
"""

import os
from collections.abc import Iterator

import pytest

from tests.support import engines, quick, whole_history
from tests.support import postgres as postgres_server
from zentra_pipeline.settings import DATABASE_VARIABLE

os.environ.setdefault("ZENTRA_KEY_PASSPHRASE", "for tests only")
# Each worker has a processor of its own; a second thread of a small run costs a tenth more and brings nothing.
os.environ.setdefault("ZENTRA_THREADS", "1")

# Files of these folders take longest, and a file goes to one worker as a whole: they come first.
LONG = (
    *("deploy", "faults", "simulation", "sources", "cases", "properties", "upkeep", "scenarios", "closeout"),
    *("events", "review", "webhooks", "defs", "api", "reconcile", "queries", "dbt_project", "ingest", "published"),
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have the long files begin while there is still enough of the others to go round.

    Where the suite runs on PostgreSQL, tests that choose a database themselves have been run on it already.
    """
    if postgres_server.is_for_all():
        choosing = {"database", "postgres", "sqlite"}
        chooses = [item for item in items if not choosing.isdisjoint(getattr(item, "fixturenames", ()))]
        config.hook.pytest_deselected(items=chooses)
        items[:] = [item for item in items if item not in chooses]

    def place(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return LONG.index(folder) if folder in LONG else len(LONG)

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def _quick() -> Iterator[None]:
    with quick.without_waiting():
        yield


@pytest.fixture(scope="session", autouse=True)
def _whole_history() -> Iterator[None]:
    """Where it is asked for, no run may say anything else than with all of the past before its eyes."""
    if not whole_history.is_wanted():
        yield
        return
    with whole_history.compared_with_whole_history():
        yield


@pytest.fixture(scope="session", autouse=True)
def _both_engines() -> Iterator[None]:
    """Where it is asked for, every run is made on Sail too, and publishes the same bytes."""
    if not engines.is_wanted():
        yield
        return
    with engines.both_engines():
        yield


@pytest.fixture(scope="session", autouse=True)
def _database_of_the_suite(request: pytest.FixtureRequest) -> Iterator[None]:
    """The developer's own database is never touched; the suite's is a fresh one for each worker."""
    configured = os.environ.pop(DATABASE_VARIABLE, None)
    try:
        if not postgres_server.is_for_all():
            yield
        else:
            with postgres_server.fresh_database(request.getfixturevalue("postgres_url")) as url:
                os.environ[DATABASE_VARIABLE] = url
                yield
    finally:
        os.environ.pop(DATABASE_VARIABLE, None)
        if configured is not None:
            os.environ[DATABASE_VARIABLE] = configured


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a server on which tests may make databases; one a worker, started when first asked for."""
    with postgres_server.server_url() as url:
        yield url


@pytest.fixture(scope="session")
def _shared_database(postgres_url: str) -> Iterator[str]:
    with postgres_server.fresh_database(postgres_url) as url:
        yield url


@pytest.fixture
def postgres(_shared_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have the test's homes live in PostgreSQL; the database is shared, as several homes may share one."""
    monkeypatch.setenv(DATABASE_VARIABLE, _shared_database)
    return _shared_database


@pytest.fixture
def sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the test's homes live in SQLite files whatever the suite runs on."""
    monkeypatch.delenv(DATABASE_VARIABLE, raising=False)


@pytest.fixture(scope="module")
def catalog_as_shipped() -> Iterator[None]:
    """Have the module's homes keep `catalog.duckdb` up to date, as the product does."""
    with pytest.MonkeyPatch.context() as patched:
        quick.catalog_as_shipped(patched)
        yield


@pytest.fixture(scope="module")
def dagster_as_shipped() -> Iterator[None]:
    """Have what the module launches be recorded in Dagster, as the product does."""
    with pytest.MonkeyPatch.context() as patched:
        quick.dagster_as_shipped(patched)
        yield


@pytest.fixture(scope="module")
def stores_reopened() -> Iterator[None]:
    """Have every transaction open its store, as the command line does: for stores that change behind our back."""
    with pytest.MonkeyPatch.context() as patched:
        quick.nothing_kept(patched)
        yield


@pytest.fixture(scope="module")
def sqlite_for_module() -> Iterator[None]:
    """Have all homes of the module live in SQLite files: for homes that are copied as folders, stores and all."""
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv(DATABASE_VARIABLE, raising=False)
        yield


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """Run the test on both databases; says on which."""
    request.getfixturevalue("postgres" if request.param == "postgresql" else "sqlite")
    return str(request.param)
