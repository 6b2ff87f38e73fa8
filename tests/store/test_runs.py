"""A run has one identity, one order and one state machine; what it published is kept."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise, product
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine

from zentra_pipeline import vocabulary
from zentra_pipeline.errors import UsageError, ZentraError
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import digests, models, runs
from zentra_pipeline.store.engine import operational_store, reading
from zentra_pipeline.store.runs import Run

pytestmark = pytest.mark.on_postgresql

NOW = datetime(2026, 4, 27, 6, 0, 0, 123456, tzinfo=UTC)
WINDOW = date(2026, 4, 26)
STATUSES = ("created", "ingesting", "matching", "comparing", "in_review", "closing", "closed", "failed", "void")
SPINE = ("created", "ingesting", "matching", "comparing", "in_review", "closing", "closed")


@pytest.fixture
def store(tmp_path: Path, database: str) -> Engine:
    return operational_store(TenantPaths(tmp_path / "acme"))


def request(
    connection: Connection,
    *,
    provider: str = "rail",
    settlement_file: str = "set_1",
    owner: str | None = "finance_ops",
    as_of: datetime | None = None,
    now: datetime = NOW,
) -> Run:
    return runs.find_or_create(
        connection,
        tenant="acme",
        provider=provider,
        settlement_file=settlement_file,
        ledger_window=WINDOW,
        owner=owner,
        actor="cli",
        as_of=as_of,
        now=now,
    )


def publish(connection: Connection, run: Run) -> None:
    number = runs.get(connection, run.run_id).revision + 1
    tables = {"matches": {"path": "lake/matches/é.parquet", "rows": number, "sha256": "0" * 64}}
    runs.record_revision(
        connection, run.run_id, number, "f" * 64, "d" * 64, run.owner, run.as_of, tables, {"files": []}, NOW
    )


def test_run_id_is_the_same_on_every_machine() -> None:
    assert runs.run_id_of("acme", "rail", "set_1", WINDOW) == "run_5ba105110f267bc8841bff5a"


def test_run_id_distinguishes_requests_whose_texts_join_alike() -> None:
    assert runs.run_id_of("a", "bc", "s", WINDOW) != runs.run_id_of("ab", "c", "s", WINDOW)


def test_a_run_has_every_column_of_its_table() -> None:
    assert [field.name for field in fields(Run)] == [column.name for column in digests.facts(models.runs)]
    assert [field.name for field in fields(runs.Revision)] == [c.name for c in digests.facts(models.run_revisions)]
    assert [field.name for field in fields(runs.Transition)] == [c.name for c in digests.facts(models.run_transitions)]


def test_a_new_run_is_created_as_of_now_and_says_by_whom(store: Engine) -> None:
    with store.begin() as connection:
        run = request(connection)
    assert run == Run(
        run_id=runs.run_id_of("acme", "rail", "set_1", WINDOW),
        sequence=1,
        provider="rail",
        settlement_file="set_1",
        ledger_window="2026-04-26",
        owner="finance_ops",
        actor="cli",
        as_of="2026-04-27T06:00:00.123456Z",
        status="created",
        closeout_status="open",
        revision=0,
        inputs_digest=None,
        failure=None,
        created_at="2026-04-27T06:00:00.123456Z",
        is_as_of_given=False,
    )
    with reading(store) as connection:
        assert runs.get(connection, run.run_id) == run
        (created,) = runs.transitions(connection, run.run_id)
    assert (created.status, created.actor, created.at) == ("created", "cli", "2026-04-27T06:00:00.123456Z")


def test_the_same_request_again_is_the_same_run_with_the_recorded_as_of(store: Engine) -> None:
    with store.begin() as connection:
        first = request(connection)
        assert request(connection, owner=None, now=NOW + timedelta(days=9)) == first
        assert len(runs.transitions(connection, first.run_id)) == 1


def test_an_explicit_owner_or_as_of_replaces_the_recorded_one(store: Engine) -> None:
    later = datetime(2026, 4, 28, 2, 0, tzinfo=timezone(timedelta(hours=2)))
    with store.begin() as connection:
        first = request(connection)
        again = request(connection, owner="treasury", as_of=later)
    assert (again.owner, again.as_of) == ("treasury", "2026-04-28T00:00:00.000000Z")
    assert (again.sequence, again.created_at) == (first.sequence, first.created_at)


def test_a_new_run_without_an_owner_is_refused(store: Engine) -> None:
    with pytest.raises(UsageError, match="name its owner"), store.begin() as connection:
        request(connection, owner=None)


def test_concurrent_requests_get_one_sequence_each_and_one_run_a_request(store: Engine) -> None:
    def create(number: int) -> Run:
        with store.begin() as connection:
            return request(connection, settlement_file=f"set_{number % 10}")

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(create, range(40)))
    assert sorted({run.sequence for run in made}) == list(range(1, 11))
    assert len({run.run_id for run in made}) == 10


def test_the_spine_leads_from_created_to_closed(store: Engine) -> None:
    with store.begin() as connection:
        run = request(connection)
        for status in SPINE[1:]:
            assert runs.transition(connection, run.run_id, status, "cli", NOW).status == status
        assert tuple(t.status for t in runs.transitions(connection, run.run_id)) == SPINE


ALLOWED = (
    set(pairwise(SPINE))
    | {(status, "failed") for status in STATUSES}
    | {(status, "ingesting") for status in STATUSES[1:]}
    # A closed run in which nothing is new is closed again; what is prepared can be prepared again or withdrawn.
    | {("closing", "closing"), ("closing", "in_review")}
    # An attempt that the machine cut short leaves a published run where it was; nothing sealed is taken back.
    | set(product(("ingesting", "matching", "comparing"), ("in_review", "closing", "closed")))
    | {(status, "void") for status in STATUSES if status not in ("closed", "void")}
)


@pytest.mark.parametrize("before", STATUSES)
def test_only_the_steps_of_the_state_machine_are_allowed(store: Engine, before: str) -> None:
    with store.begin() as connection:
        run_id = request(connection).run_id
        for after in (*STATUSES, "done"):
            connection.execute(models.runs.update().values(status=before))
            if (before, after) in ALLOWED:
                assert runs.transition(connection, run_id, after, "cli", NOW, detail="why").status == after
            else:
                with pytest.raises(ZentraError, match=run_id):
                    runs.transition(connection, run_id, after, "cli", NOW, detail="why")
                assert runs.get(connection, run_id).status == before


def test_a_failure_needs_a_reason_and_shows_it_until_the_run_starts_again(store: Engine) -> None:
    with store.begin() as connection:
        run_id = request(connection).run_id
        with pytest.raises(ZentraError, match="without a reason"):
            runs.transition(connection, run_id, "failed", "cli", NOW)
        failed = runs.transition(connection, run_id, "failed", "cli", NOW, "conservation does not hold; see checks")
        assert failed.failure == "conservation does not hold; see checks"
        assert runs.transition(connection, run_id, "ingesting", "cli", NOW).failure is None
        assert runs.transitions(connection, run_id)[1].detail == "conservation does not hold; see checks"


def test_revisions_are_kept_in_order_and_the_last_is_current(store: Engine) -> None:
    with store.begin() as connection:
        run = request(connection)
        publish(connection, run)
        publish(connection, run)
        current = runs.get(connection, run.run_id)
        first, second = runs.revisions(connection, run.run_id)
        assert runs.current_revision(connection, run.run_id) == second
    assert (current.revision, current.inputs_digest) == (2, "d" * 64)
    assert (first.revision, second.revision) == (1, 2)
    assert second.tables == {"matches": {"path": "lake/matches/é.parquet", "rows": 2, "sha256": "0" * 64}}
    assert second.published_at == "2026-04-27T06:00:00.123456Z"
    assert second.manifest == {"files": []}


def test_a_run_that_published_nothing_has_no_current_revision(store: Engine) -> None:
    with store.begin() as connection:
        run = request(connection)
        with pytest.raises(ZentraError, match="has published nothing yet"):
            runs.current_revision(connection, run.run_id)


def test_statuses_are_those_of_the_vocabulary() -> None:
    assert set(STATUSES) == set(vocabulary.values("run_status"))


@pytest.mark.parametrize("revision", [0, 1, 3])
def test_a_revision_cannot_be_skipped_or_repeated(store: Engine, revision: int) -> None:
    with store.begin() as connection:
        run = request(connection)
        publish(connection, run)
        with pytest.raises(ZentraError, match="is at revision 1"):
            runs.record_revision(connection, run.run_id, revision, "f", "d", "o", run.as_of, {}, {}, NOW)


def test_earlier_and_later_runs_are_the_published_ones_of_the_provider(store: Engine) -> None:
    with store.begin() as connection:
        made = {name: request(connection, settlement_file=name) for name in ("a", "unpublished", "b", "c", "d")}
        foreign = request(connection, provider="other")
        for run in (made["d"], made["b"], made["a"], made["c"], foreign):
            publish(connection, run)
        earlier = runs.earlier_runs(connection, made["c"])
        later = runs.later_runs(connection, made["b"])
        listed = runs.list_runs(connection)
        of_other = runs.list_runs(connection, "other")
    assert [run.settlement_file for run in earlier] == ["a", "b"]
    assert [run.settlement_file for run in later] == ["c", "d"]
    assert [run.sequence for run in listed] == [1, 2, 3, 4, 5, 6]
    assert [run.run_id for run in of_other] == [foreign.run_id]


def test_an_unknown_run_is_named_in_the_error(store: Engine) -> None:
    with pytest.raises(UsageError, match="there is no run 'run_x'"), reading(store) as connection:
        runs.get(connection, "run_x")
