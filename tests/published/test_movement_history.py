"""A movement's story holds what every side said of it, in the order of time, with the rows that say so."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.conftest import Done
from tests.scenarios.rows import MON, TUE, call, post, settle, settlement_file
from tests.scenarios.world import TENANT, World
from zentra_pipeline import cli
from zentra_pipeline.errors import UsageError
from zentra_pipeline.published import movement_history
from zentra_pipeline.published.movement_history import HistoryEntry, MovementHistory
from zentra_pipeline.store import closeouts, runs
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.decisions import Decision

SEALED_AT = "2026-04-21T15:00:00.000000Z"
AMENDED_AT = "2026-04-22T15:00:00.000000Z"
INTENTS = """\
{"event_id":"I1","intent_id":"int_1","stage":"accepted","actor":"api","scope":"payments","policy":"signed",\
"policy_result":"passed","occurred_at":"2026-04-20T08:00:00Z","transaction_id":""}
{"event_id":"I2","intent_id":"int_2","stage":"accepted","actor":"api","scope":"payments","policy":"signed",\
"policy_result":"passed","occurred_at":"2026-04-20T08:00:00Z","transaction_id":""}
"""


def closeout(world: World, revision: int, sealed_at: str, amends: str | None = None) -> Closeout:
    run_id = world.revision(MON).run_id
    return Closeout(
        closeout_id=f"clo_{revision}",
        run_id=run_id,
        revision=revision,
        provider=world.provider,
        settlement_file=settlement_file(MON),
        ledger_window=MON,
        run_revision=1,
        status="amended" if revision == 1 else "sealed",
        prepared_by="ada",
        prepared_at=sealed_at.replace("15:00", "14:00"),
        approved_by="grace",
        sealed_at=sealed_at,
        evidence_root="a" * 64,
        evidence_rows=2,
        evidence_status="audit_ready",
        chain_sequence=revision,
        seal_digest=f"{revision}" * 64,
        previous_seal=None,
        amends=amends,
        reason="a late callback" if amends else None,
        bundle=None,
        evidence_path=None,
        evidence_sha256=None,
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """R1: posted, settled, called back late and twice, again after the seal; R2: another movement in the same files."""
    world = World(tmp_path_factory.mktemp("story"))
    lines = [settle("L1", "R1", 100, merchant="int_1"), settle("L2", "R2", 200)]
    world.ingest("settlement", settlement_file(MON), lines)
    world.ingest("ledger", "ledger", [*post("T1", "R1", 100, intent="int_1"), *post("T2", "R2", 200, intent="int_2")])
    world.ingest("callbacks", "callbacks", [call("E2", "R2", 200)])
    path = world.inbox / "intents.jsonl"
    path.write_text(INTENTS)
    from zentra_pipeline.ingest.files import ingest_files

    ingest_files(
        world.tenant,
        provider=world.provider,
        kind="internal_events",
        files=[path],
        file_id=None,
        format="canonical",
        now=datetime(2026, 5, 1, tzinfo=UTC),
    )
    world.make(MON)
    late = [call("E1", "", 100, merchant="T1", received=f"{TUE}T{hour}:00:00Z") for hour in ("12", "13")]
    world.ingest("callbacks", "late", late)
    world.ingest("callbacks", "later", [call("E1", "", 100, merchant="T1", received="2026-04-22T09:00:00Z")])
    world.make(TUE)
    ((exception_id,),) = (tuple(row.values()) for row in world.query(MISSING))
    with world.tenant.writing() as connection:
        decision_store.append(connection, decision(world, exception_id))
        closeouts.prepare(connection, closeout(world, 1, SEALED_AT))
        closeouts.prepare(connection, closeout(world, 2, AMENDED_AT, amends="clo_1"))
        runs.set_closeout_status(connection, world.revision(MON).run_id, "sealed")
    return world


MISSING = "select exception_id from exceptions where exception_type = 'missing_callback'"


def decision(world: World, exception_id: str) -> Decision:
    return Decision(
        sequence=1,
        decision_id="dec_1",
        exception_id=exception_id,
        run_id=world.revision(MON).run_id,
        action="comment",
        actor="ada",
        decided_at="2026-04-21T08:00:00.000000Z",
        reason="asked the provider",
        policy={},
        result="open",
        owner=None,
        resolution=None,
        details={},
    )


@pytest.fixture(scope="module")
def reported(world: World) -> MovementHistory:
    return movement_history.history_of(world.paths, "R1")


def of(reported: MovementHistory, kind: str) -> list[HistoryEntry]:
    return [entry for entry in reported.entries if entry.kind == kind]


def test_every_side_is_listed_in_the_order_of_time(reported: MovementHistory) -> None:
    assert [entry.at for entry in reported.entries] == sorted(entry.at for entry in reported.entries)
    of_banks = {"payout", "bank"}  # tests/scenarios/test_bank_runs.py
    assert {entry.kind for entry in reported.entries} == set(movement_history.KINDS) - of_banks
    assert [entry.kind for entry in reported.entries][:3] == ["intent", "ledger", "settlement"]


@pytest.mark.parametrize("known_by", ["int_1", "T1", "L1", "E1"])
def test_an_intent_transaction_line_or_callback_leads_to_the_same_story(
    world: World, reported: MovementHistory, known_by: str
) -> None:
    found = movement_history.history_of(world.paths, known_by)
    assert (found.entries, found.state, found.providers) == (reported.entries, reported.state, reported.providers)


def test_an_intent_that_nothing_was_posted_for_has_a_story_of_its_own(world: World, tmp_path: Path) -> None:
    path = tmp_path / "only_an_intent.jsonl"
    path.write_text(INTENTS.splitlines()[0].replace("int_1", "int_3").replace('"I1"', '"I3"') + "\n")
    from zentra_pipeline.ingest.files import ingest_files

    ingest_files(
        world.tenant,
        provider=world.provider,
        kind="internal_events",
        files=[path],
        file_id=None,
        format="canonical",
        now=datetime(2026, 5, 2, tzinfo=UTC),
    )
    (entry,) = movement_history.history_of(world.paths, "int_3").entries
    assert (entry.kind, entry.ids["intent_id"]) == ("intent", "int_3")


def test_nothing_of_another_movement_is_listed(reported: MovementHistory) -> None:
    text = " ".join(f"{entry.sentence} {dict(entry.ids)}" for entry in reported.entries)
    assert [name for name in ("R2", "L2", "T2", "E2", "int_2") if name in text] == []


def test_every_row_is_named_with_file_digest_and_number(reported: MovementHistory, world: World) -> None:
    (posted,), (settled,), (intent,) = of(reported, "ledger"), of(reported, "settlement"), of(reported, "intent")
    assert [source.row for source in posted.sources] == [1, 2]
    assert settled.sources[0].file_id == settlement_file(MON)
    assert (intent.actor, intent.ids["intent_id"]) == ("api", "int_1")
    known = {row["file_sha256"] for row in world.query("select distinct file_sha256 from ledger_entries")}
    assert {source.sha256 for source in posted.sources} == known
    assert "reserved debit 1.00 USD, settlement_account credit 1.00 USD" in posted.sentence


def test_a_callback_is_listed_once_a_delivery_and_one_after_the_seal_says_so(reported: MovementHistory) -> None:
    first, second, third = of(reported, "callback")
    assert "called back: E1 succeeded, 1.00 USD" in first.sentence
    assert "called back again: E1" in second.sentence
    assert [entry.is_late for entry in (first, second, third)] == [False, False, True]
    assert third.sentence.endswith("received after closeout clo_1 was sealed at 2026-04-21T15:00:00Z; clo_2 amends it")


def test_match_exception_and_decision_are_listed_with_run_and_actor(reported: MovementHistory, world: World) -> None:
    (match,) = of(reported, "match")
    assert match.sentence == "Matched L1 with T1 by exact reference, one to one: settled 1.00 USD, posted 1.00 USD"
    assert (match.run_id, match.actor) == (world.revision(MON).run_id, "test")
    exceptions = [
        (entry.sentence.split(" opened")[0].split(" resolved")[0], entry.actor) for entry in of(reported, "exception")
    ]
    assert exceptions == [("Missing callback", "test"), ("Missing callback", "system"), ("Late callback", "test")]
    (decided,) = of(reported, "decision")
    assert (decided.actor, decided.at) == ("ada", "2026-04-21T08:00:00.000000Z")
    assert "asked the provider" in decided.sentence


def test_a_closeout_is_listed_when_prepared_and_when_sealed_with_what_it_amends(reported: MovementHistory) -> None:
    entries = of(reported, "closeout")
    assert [(entry.actor, entry.ids["closeout_id"]) for entry in entries] == [
        ("ada", "clo_1"),
        ("grace", "clo_1"),
        ("ada", "clo_2"),
        ("grace", "clo_2"),
    ]
    assert "amends clo_1 because a late callback" in entries[-1].sentence


def test_a_callback_or_line_that_names_no_reference_of_its_own_is_found_by_what_it_hangs_on(
    reported: MovementHistory,
) -> None:
    assert {entry.ids["merchant_reference"] for entry in of(reported, "callback")} == {"T1"}


@pytest.mark.parametrize(("reference", "provider"), [("r1", None), ("R1 ", None), ("R1", "other"), ("%", None)])
def test_a_reference_that_nothing_bears_is_refused(world: World, reference: str, provider: str | None) -> None:
    with pytest.raises(UsageError, match=r"nothing( of [a-z_]+)? has the provider reference or id"):
        movement_history.history_of(world.paths, reference, provider)


def printed(world: World, capsysbinary: pytest.CaptureFixture[bytes], *arguments: str) -> Done:
    code = cli.invoke(["story", *arguments, "--tenant", TENANT, "--home", str(world.home.root)])
    out, err = capsysbinary.readouterr()
    return Done(code, out.decode(), err.decode())


def test_the_command_prints_the_story(
    world: World, reported: MovementHistory, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    done = printed(world, capsysbinary, "R1", "--provider", world.provider)
    assert done.code == 0
    lines = done.out.split("\n")
    assert lines[0] == f"R1  {world.provider}"
    assert [line for line in lines if line != line.rstrip()] == []
    assert max(map(len, lines)) <= 110
    heads = [line[:22].rstrip() for line in lines if line[2:4].isdigit() and line.startswith("  ")]
    assert heads == [f"  {entry.at[11:19]}  {entry.kind}" for entry in reported.entries]
    for day in ("2026-04-20", "2026-04-21", "2026-04-22"):
        assert day in lines


def test_the_command_gives_the_same_story_as_json(
    world: World, reported: MovementHistory, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    content = json.loads(printed(world, capsysbinary, "R1", "--json").out)
    assert [entry["sentence"] for entry in content["entries"]] == [entry.sentence for entry in reported.entries]
    assert content["provider_reference"] == "R1"
    assert content["entries"][0]["sources"][0]["row"] == 1


def test_an_unknown_reference_exits_2_with_words(world: World, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    done = printed(world, capsysbinary, "nobody")
    assert (done.code, done.out) == (2, "")
    assert "'nobody'" in done.err
    assert printed(world, capsysbinary, " ").code == 2


def test_a_hostile_reference_is_shown_as_text(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    world = World(tmp_path)
    reference = "R'; drop \u202e[bold]é"  # ingest keeps control characters out
    world.ingest("ledger", "ledger", list(post("T\u202e1", reference, 100)))
    done = printed(world, capsysbinary, reference)
    assert done.code == 0
    assert done.out.startswith("R'; drop \\u202e[bold]é")
    assert "\u202e" not in done.out
