"""Stores in PostgreSQL: a schema each, one database for several homes, and errors that help and hide the password."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, make_url

from tests.support.postgres import Server, administer, fresh_database, running_server
from zentra_pipeline import cli
from zentra_pipeline.errors import UnavailableError, UsageError, ZentraError
from zentra_pipeline.settings import DATABASE_VARIABLE, Home, TenantPaths
from zentra_pipeline.store import event_log, files, models, postgresql
from zentra_pipeline.store.copying import copy_operational_store
from zentra_pipeline.store.engine import control_store, operational_store, reading
from zentra_pipeline.store.place import MARKER, control_place, operational_place
from zentra_pipeline.tenants import tenancy

pytestmark = [pytest.mark.on_postgresql, pytest.mark.usefixtures("stores_reopened")]

NOW = datetime(2026, 4, 27, 6, tzinfo=UTC)
UNSHOWN = "s3cr3t-Wörd/%41"


def append(engine: Engine, number: int) -> None:
    with engine.begin() as connection:
        event_log.append(connection, {"id": f"event {number}", "type": "t"})


def count(engine: Engine) -> int:
    with reading(engine) as connection:
        return event_log.count(connection)


def schemas(url: str) -> dict[str, set[str]]:
    """Every schema of a database that is not the server's own, with its tables."""
    with psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)) as session:
        names = session.execute("select nspname from pg_namespace where nspname !~ '^pg_|^information_schema$'")
        tables = session.execute("select table_schema, table_name from information_schema.tables").fetchall()
        return {name: {table for schema, table in tables if schema == name} for (name,) in names}


def made_home(folder: Path, *tenants: str) -> Home:
    home = Home.at(folder)
    tenancy.init_home(home)
    for tenant in tenants:
        tenancy.add_tenant(home, tenant, NOW)
    return home


def test_each_store_has_a_schema_and_no_file(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh_database(postgres_url) as url:
        monkeypatch.setenv(DATABASE_VARIABLE, url)
        home = made_home(tmp_path / "home", "acme", "Zeta")
        own = control_place(home).schema
        found = schemas(url)
    assert set(found) == {"public", own, f"{own}_acme", f"{own}_Zeta"}
    assert found["public"] == set()
    assert found[f"{own}_acme"] == {*models.metadata.tables, "alembic_version"}
    assert not list(home.root.rglob("*.db*"))


def test_homes_and_tenants_that_share_a_database_share_nothing(tmp_path: Path, postgres: str) -> None:
    homes = [made_home(tmp_path / name, "acme", "zeta") for name in ("one", "other")]
    append(operational_store(homes[0].tenant("acme")), 1)
    stores = [operational_store(home.tenant(tenant)) for home in homes for tenant in ("acme", "zeta")]
    assert [count(store) for store in stores] == [1, 0, 0, 0]
    tenancy.add_tenant(homes[1], "third", NOW)
    assert [tenancy.names(home) for home in homes] == [["acme", "zeta"], ["acme", "third", "zeta"]]


def test_tenants_whose_names_differ_after_sixty_letters_have_stores_of_their_own(tmp_path: Path, postgres: str) -> None:
    names = ["a" * 63 + "1", "a" * 63 + "2", "a" * 64, "A-b_C"]
    home = made_home(tmp_path / "home", *names)
    places = [operational_place(home.tenant(name)).schema for name in names]
    assert len(set(places)) == 4
    assert all(len(str(schema)) <= 63 for schema in places)
    append(operational_store(home.tenant(names[0])), 1)
    assert [count(operational_store(home.tenant(name))) for name in names] == [1, 0, 0, 0]


def test_a_home_that_is_moved_keeps_its_stores(tmp_path: Path, postgres: str) -> None:
    append(operational_store(made_home(tmp_path / "home", "acme").tenant("acme")), 1)
    (tmp_path / "home").rename(tmp_path / "moved")
    assert count(operational_store(tenancy.require_tenant(Home.at(tmp_path / "moved"), "acme").paths)) == 1


def test_tenants_have_one_order_whatever_the_collation(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh_database(postgres_url, LOCALE_PROVIDER="icu", ICU_LOCALE="en-US") as url:
        monkeypatch.setenv(DATABASE_VARIABLE, url)
        assert tenancy.names(made_home(tmp_path / "home", "acme", "Zeta", "beta")) == ["Zeta", "acme", "beta"]


def test_a_home_in_files_is_not_quietly_left_for_an_empty_database(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.delenv(DATABASE_VARIABLE)
        home = made_home(tmp_path / "home", "acme")
    with pytest.raises(UsageError, match=r"keeps its stores in SQLite files, and ZENTRA_DATABASE_URL is set: unset it"):
        tenancy.require_tenant(home, "acme")
    assert not list(home.root.rglob(MARKER))


def test_a_home_in_the_database_is_not_quietly_begun_again_in_files(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = made_home(tmp_path / "home", "acme")
    monkeypatch.delenv(DATABASE_VARIABLE)
    with pytest.raises(UsageError, match="keeps its stores in PostgreSQL: set ZENTRA_DATABASE_URL"):
        tenancy.require_tenant(home, "acme")
    with pytest.raises(UsageError, match="set ZENTRA_DATABASE_URL"):
        operational_store(home.tenant("acme"))
    assert not list(home.root.rglob("*.db"))


def test_another_database_than_the_homes_is_refused_and_stays_empty(
    tmp_path: Path, postgres: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = made_home(tmp_path / "home", "acme")
    with fresh_database(postgres_url) as other:
        monkeypatch.setenv(DATABASE_VARIABLE, other)
        with pytest.raises(UsageError, match=r"there is no schema zentra_\w+ in PostgreSQL database zentra_test_"):
            tenancy.require_tenant(home, "acme")
        with pytest.raises(UsageError, match=r"there is no schema zentra_\w+_acme in PostgreSQL"):
            operational_store(home.tenant("acme"))
        assert set(schemas(other)) == {"public"}


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"schema": 1}', b'{"schema": "public"}', b"\xff"])
def test_a_damaged_marker_is_named(tmp_path: Path, postgres: str, content: bytes) -> None:
    home = made_home(tmp_path / "home", "acme")
    (home.tenant("acme").root / MARKER).write_bytes(content)
    with pytest.raises(ZentraError, match=r"acme/postgresql\.json: .* restore it from a backup"):
        operational_store(home.tenant("acme"))


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        (f"mysql://ann:{UNSHOWN}@db/zentra", 2, "begins with mysql"),
        (f"sqlite:///{UNSHOWN}", 2, "begins with sqlite"),
        (f"ann:{UNSHOWN}@db/zentra", 2, "is not a URL: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE"),
        (f"postgresql://ann:{UNSHOWN}@db:port/zentra", 2, "is not a URL"),
        ("postgresql://ann:secret@127.0.0.1:9/zentra", 75, "zentra at 127.0.0.1:9 (user ann) cannot be reached"),
        ("postgres://ann@127.0.0.1:9/zentra?password=secret", 75, "zentra at 127.0.0.1:9 (user ann) cannot be reached"),
        ("postgresql+psycopg:///zentra?host=/nowhere", 75, "cannot be reached"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    url: str,
    code: int,
    said: str,
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, url)
    monkeypatch.setenv("ZENTRA_DEBUG", "1")
    assert cli.invoke(["init", "--home", str(tmp_path / "home")]) == code
    shown = "".join(capfd.readouterr())
    assert said in shown
    assert "secret" not in shown
    assert UNSHOWN not in shown


def as_locked(url: str, word: str) -> str:
    without_user = make_url(url).difference_update_query(["user"])
    return without_user.set(username="locked", password=word).render_as_string(hide_password=False)


@pytest.fixture
def locked_url(postgres_url: str) -> Iterator[str]:
    """A database that only a role with a password can use, and where it may make nothing."""
    administer(postgres_url, f"CREATE ROLE locked LOGIN PASSWORD '{UNSHOWN}'")
    try:
        with fresh_database(postgres_url) as url:
            yield as_locked(url, UNSHOWN)
    finally:
        administer(postgres_url, "DROP ROLE locked")


def test_a_role_that_may_create_nothing_is_refused_with_the_grants_it_needs(
    tmp_path: Path, locked_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, locked_url)
    with pytest.raises(UnavailableError, match=r"permission denied for database .*GRANT CREATE") as raised:
        made_home(tmp_path / "home")
    assert not hides(raised.value)
    assert not (tmp_path / "home" / MARKER).exists()


def test_a_wrong_password_is_said_and_not_shown(
    tmp_path: Path, locked_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = as_locked(locked_url, UNSHOWN + "x")
    monkeypatch.setenv(DATABASE_VARIABLE, wrong)
    with pytest.raises(UnavailableError, match='password authentication failed for user "locked"') as raised:
        made_home(tmp_path / "home")
    assert not hides(raised.value)


def hides(error: BaseException | None) -> bool:
    """Whether the password is in an error or in what caused it."""
    return error is not None and (
        UNSHOWN in f"{error!s} {error!r}" or hides(error.__cause__) or hides(error.__context__)
    )


def test_a_database_of_another_encoding_is_refused(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh_database(postgres_url, ENCODING="LATIN1", LC_COLLATE="C", LC_CTYPE="C") as url:
        monkeypatch.setenv(DATABASE_VARIABLE, url)
        with pytest.raises(UsageError, match="encoded in LATIN1: make a database with ENCODING 'UTF8'"):
            made_home(tmp_path / "home")


def test_a_role_whose_defaults_differ_changes_no_transaction(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh_database(postgres_url) as url:
        name = make_url(url).database
        administer(
            postgres_url,
            f"ALTER DATABASE {name} SET default_transaction_isolation TO 'serializable'",
            f"ALTER DATABASE {name} SET default_transaction_read_only TO on",
            f"ALTER DATABASE {name} SET synchronous_commit TO off",
        )
        monkeypatch.setenv(DATABASE_VARIABLE, url)
        store = operational_store(TenantPaths(tmp_path / "acme"))
        shown = "select current_setting('synchronous_commit'), current_setting('transaction_isolation')"
        with store.begin() as connection:
            assert tuple(connection.exec_driver_sql(shown).one()) == ("on", "read committed")
        with reading(store) as connection:
            assert connection.exec_driver_sql(shown).one()[1] == "repeatable read"
        append(store, 1)
        assert count(store) == 1


def test_a_writer_that_waits_too_long_is_refused_with_the_reason(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_LOCK_TIMEOUT", "100ms")
    store = operational_store(TenantPaths(tmp_path / "acme"))
    failures: list[BaseException] = []

    def write() -> None:
        try:
            append(store, 2)
        except UnavailableError as error:
            failures.append(error)

    with store.begin():
        other = threading.Thread(target=write)
        other.start()
        other.join(timeout=20)
    assert ["another process has been writing" in str(error) for error in failures] == [True]
    append(store, 3)
    assert count(store) == 1


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A server that the test may stop."""
    with running_server() as server:
        yield server


def test_a_server_that_was_restarted_costs_nobody_an_error(
    tmp_path: Path, own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "_TRUSTED_SECONDS", 0)
    monkeypatch.setenv(DATABASE_VARIABLE, own_server.url)
    store = operational_store(made_home(tmp_path / "home", "acme").tenant("acme"))
    append(store, 1)
    own_server.stop("fast")
    with pytest.raises(UnavailableError, match="cannot be reached"):
        append(store, 2)
    own_server.start()
    append(store, 3)
    assert count(store) == 2


def test_a_server_that_dies_in_a_transaction_loses_nothing_acknowledged(
    tmp_path: Path, own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATABASE_VARIABLE, own_server.url)
    store = operational_store(made_home(tmp_path / "home", "acme").tenant("acme"))
    append(store, 1)
    with pytest.raises(UnavailableError, match=r"went away .*nothing was kept; do it again"), store.begin() as writer:
        event_log.append(writer, {"id": "event 2", "type": "t"})
        own_server.stop("immediate")
        event_log.append(writer, {"id": "event 3", "type": "t"})
    own_server.start()
    append(store, 2)
    with reading(store) as connection:
        assert [entry.event_id for entry in event_log.entries(connection)] == ["event 1", "event 2"]


def test_a_copy_in_a_file_says_what_the_database_says(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, made = TenantPaths(tmp_path / "acme"), TenantPaths(tmp_path / "made")
    store = operational_store(paths)
    for number in range(3):
        append(store, number)
    made.root.mkdir()
    copy_operational_store(paths, made)
    monkeypatch.delenv(DATABASE_VARIABLE)
    with reading(operational_store(made)) as copy:
        assert [entry.event_id for entry in event_log.entries(copy)] == ["event 0", "event 1", "event 2"]
        assert files.next_sequence(copy) == 1


def test_a_control_store_in_the_database_is_found_again(tmp_path: Path, postgres: str) -> None:
    home = made_home(tmp_path / "home", "acme")
    assert tenancy.is_initialised(home)
    assert tenancy.init_home(home) is False
    assert control_store(home).dialect.name == "postgresql"
