"""Whatever has happened to a tenant, a rebuild reproduces every seal, and so does each run made again by itself."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.asking import asked
from tests.scenarios.rows import MON, TUE, WED, call, post, settle, settlement_file
from tests.scenarios.world import TENANT, World
from zentra_pipeline.closeout import candidate as candidates
from zentra_pipeline.closeout import closing, verify
from zentra_pipeline.desk import deciding
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.runtime import intents
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.upkeep import doctor
from zentra_pipeline.upkeep.rebuild import EQUAL, rebuild
from zentra_pipeline.upkeep.reperform import reperform_bundle
from zentra_pipeline.webhooks import endpoints


def now() -> datetime:
    return datetime.now(UTC)


def decide(world: World, subject: str, action: str, actor: str, **options: Any) -> None:
    of_subject = f"select exception_id from exceptions where subject_id = '{subject}' and status <> 'resolved'"
    (found,) = world.query(of_subject)
    deciding.decide(world.tenant, DecisionRequest(found["exception_id"], action, actor, **options), now())


def close(world: World, window: str) -> None:
    """Accept as timing what is left open, and have two operators close the window's run."""
    for row in world.query("select distinct subject_id from exceptions where status <> 'resolved'"):
        decide(world, row["subject_id"], "resolve", "ana", resolution="accepted_timing", reason="it will come")
    run_id = run_store.run_id_of(TENANT, world.provider, settlement_file(window), date.fromisoformat(window))
    for step, actor in ((closing.prepare, "ana"), (closing.approve, "ben")):
        with candidates.of_run(world.tenant, run_id) as candidate:
            outcome = step(candidate, actor, now())
        assert outcome.closeout is not None, outcome.blockers


def eventful(folder: Path) -> World:
    """Two windows with an intent, a write-off, a match by hand, a late callback and a restated file, the second sealed
    first and both amended; a third in which nothing happens; and webhooks that nobody answers.
    """
    world = World(folder)
    hook = "http://127.0.0.1:1099/hook"
    endpoints.add(world.tenant, hook, actor="ana", now=now(), is_loopback_allowed=True)
    intents.record(world.tenant, asked(provider_reference="R6"), "service", datetime(2026, 4, 20, 10, tzinfo=UTC))
    world.add(settle("L1", "R1", 500), post("T1", "R1", 500), settle("L5", "X5", 55), post("T5", "Y5", 55))
    world.add(settle("L6", "R6", 12_500), call("E6", "R6", 12_500), settle("L9", "R9", 9))
    world.make(MON)
    decide(world, "L9", "resolve", "ana", resolution="written_off", reason="too small to chase")
    decide(world, "L9", "approve", "ben")
    by_hand = {"settlement_lines": ["L5"], "ledger_transactions": ["T5"]}
    decide(world, "L5", "match", "ana", reason="same order", **by_hand)
    world.add(settle("L7", "R7", 70, on=TUE), post("T7", "R7", 70, on=TUE), call("E7", "R7", 70, on=TUE))
    world.make(TUE)
    close(world, TUE)
    close(world, MON)
    world.add(call("E1", "R1", 500, received="2026-04-21T12:00:00Z"))
    world.make(MON, as_of="2026-04-21T13:00:00+00:00")
    close(world, MON)
    world.ingest("settlement", settlement_file(TUE), [settle("L7", "R7", 71, on=TUE)])
    world.make(TUE)
    close(world, TUE)
    for step, actor in ((closing.prepare, "ana"), (closing.approve, "ben")):
        window = date.fromisoformat(WED)
        with candidates.of_idle_window(world.tenant, world.provider, window, "ana", now()) as candidate:
            assert step(candidate, actor, now()).closeout is not None
    return world


@pytest.mark.slow
def test_every_seal_of_an_eventful_history_is_reproduced(tmp_path: Path) -> None:
    world = eventful(tmp_path)
    sealed = world.query("select * from closeouts order by chain_sequence")
    reported = [(str(row["ledger_window"]), row["revision"], row["status"]) for row in sealed]
    assert reported == [
        (TUE, 1, "amended"),
        (MON, 1, "amended"),
        (MON, 2, "sealed"),
        (TUE, 2, "sealed"),
        (WED, 1, "sealed"),
    ]
    assert "late callback" in sealed[2]["reason"]
    assert "restated settlement file" in sealed[3]["reason"]
    head = world.paths.heads / f"{world.provider}.json"
    assert verify.verify(world.paths.closeouts, world.home.trust, head).holds
    assert [finding for found in doctor.examine(world.home) for finding in found.findings] == []
    rebuilt = rebuild(world.tenant)
    assert {seal.closeout_id: seal.verdict for seal in rebuilt.seals} == {row["closeout_id"]: EQUAL for row in sealed}
    assert {item.verdict for item in rebuilt.revisions} == {EQUAL}
    assert rebuilt.holds
    for row in sealed[:-1]:
        made = reperform_bundle(world.home, world.paths.root / row["bundle"])
        assert [item.name for item in made.comparisons if not item.holds] == [], row["closeout_id"]
