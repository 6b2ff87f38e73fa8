"""Gaps, forks, rollbacks, rotations and amendments over many bundles, with and without a published head."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.closeout import bundles
from tests.closeout.bundles import FIRST, SECOND, STRANGER, Sealed, TestKey, make_bundle, make_chain
from zentra_pipeline.closeout import seal, verify


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    return bundles.trust(tmp_path / "trust.json")


def reseal(made: Sealed, **changes: Any) -> Sealed:
    """What a holder of the trusted key can do: seal other contents in the same place."""
    shutil.rmtree(made.folder)
    chain = made.payload["chain"]
    changes = {"run_id": made.payload["run_id"], "window": made.payload["ledger_window"], "movements": 2, **changes}
    return make_bundle(made.folder, **{"chain": chain, **changes})


def test_thirty_windows_hold_with_and_without_head(tmp_path: Path, trust: Path) -> None:
    made = make_chain(tmp_path / "closeouts", 30)
    whole = bundles.head(tmp_path / "whole.json", made)
    last = bundles.head(tmp_path / "last.json", made[-1:])
    for given in (None, whole, last):
        report = verify.verify(tmp_path / "closeouts", trust, given)
        assert bundles.failed(report) == {}
        assert len(report.seals) == 30
    for bundle in made:
        assert verify.verify(bundle.folder, trust, whole).holds
    assert verify.verify(made[-1].folder, trust, last).holds
    assert "has only number 30" in bundles.failed(verify.verify(made[3].folder, trust, last))["head"]


def test_sealing_again_with_a_trusted_key_holds_and_only_the_head_finds_it(tmp_path: Path, trust: Path) -> None:
    """The known limit, which every report states."""
    made = make_chain(tmp_path / "closeouts", 3)
    head = bundles.head(tmp_path / "head.json", made)
    again = reseal(made[2])
    report = verify.verify(again.folder, trust)
    assert report.holds
    assert "pass one with --head" in report.limits[0]
    assert verify.verify(tmp_path / "closeouts", trust).holds
    assert "sealed again" in bundles.failed(verify.verify(again.folder, trust, head))["head"]
    for given in (head, bundles.head(tmp_path / "last.json", made[-1:])):
        assert "sealed again" in bundles.failed(verify.verify(tmp_path / "closeouts", trust, given))["head"]


def test_sealing_the_whole_chain_again_is_found_by_the_last_entry_of_the_head(tmp_path: Path, trust: Path) -> None:
    made = make_chain(tmp_path / "closeouts", 4)
    last = bundles.head(tmp_path / "last.json", made[-1:])
    shutil.rmtree(tmp_path / "closeouts")
    make_chain(tmp_path / "closeouts", 4, movements=2)
    assert verify.verify(tmp_path / "closeouts", trust).holds
    assert set(bundles.failed(verify.verify(tmp_path / "closeouts", trust, last))) == {"head"}


def test_a_seal_changed_in_the_middle_breaks_the_chain(tmp_path: Path, trust: Path) -> None:
    made = make_chain(tmp_path / "closeouts", 5)
    again = reseal(made[2])
    assert verify.verify(again.folder, trust).holds
    assert "fork" in bundles.failed(verify.verify(tmp_path / "closeouts", trust))["chain"]


def test_a_gap_is_found(tmp_path: Path, trust: Path) -> None:
    made = make_chain(tmp_path / "closeouts", 5)
    shutil.rmtree(made[2].folder.parent)
    assert "a gap" in bundles.failed(verify.verify(tmp_path / "closeouts", trust))["chain"]
    shutil.rmtree(made[0].folder.parent)
    assert "begins with 2" in bundles.failed(verify.verify(tmp_path / "closeouts", trust))["chain"]


def test_a_rollback_is_found_with_the_head(tmp_path: Path, trust: Path) -> None:
    made = make_chain(tmp_path / "closeouts", 5)
    whole = bundles.head(tmp_path / "whole.json", made)
    last = bundles.head(tmp_path / "last.json", made[-1:])
    shutil.rmtree(made[4].folder.parent)
    assert verify.verify(tmp_path / "closeouts", trust).holds
    for head in (whole, last):
        assert "newer ones are gone" in bundles.failed(verify.verify(tmp_path / "closeouts", trust, head))["head"]


def test_a_head_older_than_the_seal_does_not_confirm_it(tmp_path: Path, trust: Path) -> None:
    made = make_chain(tmp_path / "closeouts", 5)
    old = bundles.head(tmp_path / "old.json", made[:4])
    assert "a head too old" in bundles.failed(verify.verify(made[4].folder, trust, old))["head"]
    assert "a head too old" in bundles.failed(verify.verify(tmp_path / "closeouts", trust, old))["head"]


def test_two_seals_of_one_number_are_a_fork(tmp_path: Path, trust: Path) -> None:
    made = make_chain(tmp_path / "closeouts", 3)
    make_bundle(tmp_path / "closeouts" / "run_0099" / "r1", run_id="run_0099", sequence=3, previous=made[1])
    assert "both number 3: a fork" in bundles.failed(verify.verify(tmp_path / "closeouts", trust))["chain"]
    assert set(bundles.failed(verify.verify(tmp_path / "closeouts", trust, bundles.head(tmp_path / "h", made)))) == {
        "chain",
        "head",
    }


def test_a_seal_that_follows_another_than_the_published_one_is_found_alone(tmp_path: Path, trust: Path) -> None:
    made = make_chain(tmp_path / "closeouts", 2)
    other = make_bundle(tmp_path / "other", run_id="run_0001", movements=2)
    forked = make_bundle(tmp_path / "forked", run_id="run_0002", sequence=2, previous=other)
    head = bundles.head(tmp_path / "head.json", [made[0], forked])
    assert (
        "published after another seal than it names"
        in bundles.failed(verify.verify(forked.folder, trust, head))["head"]
    )


def test_a_head_of_another_scope_confirms_nothing(tmp_path: Path, trust: Path) -> None:
    made = make_chain(tmp_path / "closeouts", 2)
    for tenant, provider in (("other", "rail_primary"), ("acme", "other")):
        head = bundles.head(tmp_path / "head.json", made, tenant, provider)
        assert set(bundles.failed(verify.verify(made[0].folder, trust, head))) == {"head"}
        assert set(bundles.failed(verify.verify(tmp_path / "closeouts", trust, head))) == {"head"}


@pytest.mark.parametrize("order", [[0, 2], [1, 0], [0, 0], [1, 2], []])
def test_a_head_with_a_gap_or_out_of_order_is_no_head(order: list[int], tmp_path: Path, trust: Path) -> None:
    made = make_chain(tmp_path / "closeouts", 3)
    head = bundles.head(tmp_path / "head.json", [made[position] for position in order])
    assert "head_file" in bundles.failed(verify.verify(tmp_path / "closeouts", trust, head))


def test_chains_of_several_providers_are_kept_apart(tmp_path: Path, trust: Path) -> None:
    root = tmp_path / "closeouts"
    made = make_chain(root, 2)
    other = {"provider": "card_rail", "scope": "acme/card_rail"}
    first = make_bundle(root / "run_0010" / "r1", run_id="run_0010", **other)
    make_bundle(root / "run_0011" / "r1", run_id="run_0011", sequence=2, previous=first, **other)
    assert bundles.failed(verify.verify(root, trust, bundles.head(tmp_path / "head.json", made))) == {}
    shutil.rmtree(first.folder.parent)
    assert "acme/card_rail" in bundles.failed(verify.verify(root, trust))["chain"]


def amended(root: Path, **changes: Any) -> list[Sealed]:
    """Three windows, then an amendment of the second."""
    made = make_chain(root, 3)
    folder = root / "run_0002" / "r2"
    given = {"amends": made[1], "sequence": 4, "previous": made[2], "window": "2026-04-02", **changes}
    return [*made, make_bundle(folder, run_id="run_0002", **given)]


def test_an_amended_chain_holds_as_a_whole_and_run_by_run(tmp_path: Path, trust: Path) -> None:
    made = amended(tmp_path / "closeouts", movements=4)
    head = bundles.head(tmp_path / "head.json", made)
    for given in (None, head):
        assert bundles.failed(verify.verify(tmp_path / "closeouts", trust, given)) == {}
        report = verify.verify(tmp_path / "closeouts" / "run_0002", trust, given)
        assert bundles.failed(report) == {}
        assert [found.sequence for found in report.seals] == [2, 4]
        assert any("were not looked at" in finding.detail for finding in report.findings)


def test_rows_of_an_amendment_may_say_so(tmp_path: Path, trust: Path) -> None:
    rows = bundles.rows_of("run_0002")
    rows["evidence"] = [bundles.evidence_row(1, "run_0002", closeout_status="amended")]
    amended(tmp_path / "closeouts", rows=rows)
    assert bundles.failed(verify.verify(tmp_path / "closeouts", trust)) == {}


def test_an_amendment_of_what_is_gone_or_of_something_else_is_found(tmp_path: Path, trust: Path) -> None:
    made = amended(tmp_path / "gone")
    shutil.rmtree(made[1].folder)
    assert "which it amends, is gone" in bundles.failed(verify.verify(tmp_path / "gone", trust))["amendments"]
    assert (
        "which it amends, is gone" in bundles.failed(verify.verify(tmp_path / "gone" / "run_0002", trust))["amendments"]
    )
    right = {"closeout_id": made[1].payload["closeout_id"], "seal_digest": made[1].seal_digest, "reason": "late"}
    made = amended(tmp_path / "closeouts")
    for wrong in ({"seal_digest": made[0].seal_digest}, {"closeout_id": made[0].payload["closeout_id"]}):
        seal.seal_bundle(made[3].folder, {**made[3].payload, "amends": right | wrong}, FIRST.signing)
        assert "does not amend" in bundles.failed(verify.verify(tmp_path / "closeouts", trust))["amendments"]
    seal.seal_bundle(made[3].folder, {**made[3].payload, "amends": right}, FIRST.signing)
    assert verify.verify(tmp_path / "closeouts", trust).holds


def test_an_amendment_does_not_come_before_what_it_amends(tmp_path: Path, trust: Path) -> None:
    made = make_bundle(tmp_path / "run_0001" / "r1", sequence=2, previous=make_bundle(tmp_path / "first"))
    make_bundle(tmp_path / "run_0001" / "r2", sequence=1, amends=made)
    assert "does not amend" in bundles.failed(verify.verify(tmp_path / "run_0001", trust))["amendments"]


def test_a_run_closed_twice_is_found(tmp_path: Path, trust: Path) -> None:
    made = make_chain(tmp_path / "closeouts", 2)
    again = {"run_id": "run_0001", "sequence": 3, "previous": made[1]}
    make_bundle(tmp_path / "closeouts" / "other" / "r1", **again)
    assert (
        "a second revision 1 of run_0001" in bundles.failed(verify.verify(tmp_path / "closeouts", trust))["amendments"]
    )


def test_a_rotated_chain_holds_for_who_pinned_the_first_key_only(tmp_path: Path, trust: Path) -> None:
    root = tmp_path / "closeouts"
    rotations = [SECOND.record("2026-04-20T00:00:00Z", signer=FIRST)]
    made = make_chain(root, 2)
    made.append(
        make_bundle(
            root / "run_0003" / "r1", run_id="run_0003", sequence=3, previous=made[-1], key=SECOND, rotations=rotations
        )
    )
    assert bundles.failed(verify.verify(root, trust, bundles.head(tmp_path / "head.json", made))) == {}
    only_new = bundles.trust(tmp_path / "new.json", rotations[0])
    report = verify.verify(root, only_new)
    assert {finding.bundle for finding in report.findings if not finding.holds} == {"run_0001/r1", "run_0002/r1"}


def flat(root: Path, made: list[Sealed]) -> Path:
    """The bundles of several runs laid into one folder, as r1, r2, …"""
    for number, each in enumerate(made, start=1):
        shutil.copytree(each.folder, root / f"r{number}")
    return root


def test_bundles_of_several_runs_in_one_flat_folder_are_a_whole_chain(tmp_path: Path, trust: Path) -> None:
    """Once a folder of r1, r2, … was taken for one run, whose seals may have gaps: a gap and a rollback held."""
    made = make_chain(tmp_path / "closeouts", 4)
    head = bundles.head(tmp_path / "head.json", made)
    assert bundles.failed(verify.verify(flat(tmp_path / "whole", made), trust, head)) == {}
    for name, left in (("gap", [made[0], made[2], made[3]]), ("begun_late", made[1:])):
        folder = flat(tmp_path / name, left)
        for report in (verify.verify(folder, trust), verify.verify(folder, trust, head)):
            assert "chain" in bundles.failed(report), name
    rolled_back = flat(tmp_path / "rolled_back", made[:3])
    assert bundles.failed(verify.verify(rolled_back, trust)) == {}  # nobody can see it without the head
    assert set(bundles.failed(verify.verify(rolled_back, trust, head))) == {"head"}
    named = tmp_path / "named"
    for each, name in ((made[0], "monday"), (made[2], "wednesday")):
        shutil.copytree(each.folder, named / name)
    assert "chain" in bundles.failed(verify.verify(named, trust))


def test_a_run_s_folder_that_lacks_its_newest_published_revision_is_found(tmp_path: Path, trust: Path) -> None:
    def closeout_id(revision: int) -> str:
        canonical = json.dumps(["acme", "run_0001", revision], separators=(",", ":"))
        return "clo_" + hashlib.sha256(canonical.encode()).hexdigest()[:24]

    run = tmp_path / "run_0001"
    first = make_bundle(run / "r1", closeout_id=closeout_id(1))
    amended = make_bundle(run / "r2", sequence=2, previous=first, amends=first, closeout_id=closeout_id(2))
    head = bundles.head(tmp_path / "head.json", [first, amended])
    assert bundles.failed(verify.verify(run, trust, head)) == {}
    shutil.rmtree(run / "r2")
    assert (
        "revision 2 of run_0001 was published, and it is gone"
        in bundles.failed(verify.verify(run, trust, head))["head"]
    )


def test_an_amended_bundle_shown_alone_is_warned_of_where_that_can_be_known(tmp_path: Path, trust: Path) -> None:
    """Whoever is handed r1 and the whole head was told that everything holds, and not that r2 had been published."""
    run = tmp_path / "run_0001"
    first = make_bundle(run / "r1", closeout_id=verify._closeout_id("acme", "run_0001", 1))
    name = verify._closeout_id("acme", "run_0001", 2)
    made = [first, make_bundle(run / "r2", sequence=2, previous=first, amends=first, closeout_id=name)]
    whole, early = bundles.head(tmp_path / "whole.json", made), bundles.head(tmp_path / "early.json", made[:1])
    alone = tmp_path / "handed out"
    shutil.copytree(first.folder, alone)
    amended = "run_0001 was amended: its revision 2 was published as number 2, and this is 1"
    for place, head, warnings in (
        (alone, None, ()),
        (alone, early, ()),
        (alone, whole, (amended,)),
        (first.folder, whole, (amended,)),
        (first.folder, None, ("r2 lies beside it, and amends it if that holds: check the folder run_0001",)),
        (made[1].folder, whole, ()),
        (run, whole, ()),
    ):
        report = verify.verify(place, trust, head)
        assert (report.holds, report.warnings) == (True, warnings), (place, head)


def test_seals_of_two_tenants_in_one_folder_are_warned_of(tmp_path: Path, trust: Path) -> None:
    root = tmp_path / "closeouts"
    make_chain(root, 2)
    assert verify.verify(root, trust).warnings == ()
    make_bundle(root / "run_0003" / "r1", run_id="run_0003", tenant="globex", scope="globex/rail_primary")
    report = verify.verify(root, trust)
    assert bundles.failed(report) == {}
    assert report.warnings == ("seals of 2 tenants lie here, acme, globex: none says anything about another's",)


def test_an_earlier_seal_vouches_for_a_key_that_its_retired_signer_brought_in(tmp_path: Path) -> None:
    """FIRST retires on the 10th. A successor that a seal from before names is believed, one that turns up later not."""
    pinned = bundles.trust(tmp_path / "trust.json", FIRST.record(valid_until="2026-04-10T00:00:00Z"))
    second = SECOND.record("2026-04-05T00:00:00Z", signer=FIRST)

    def chain(root: Path, *steps: tuple[TestKey, str, list[dict[str, Any]]]) -> Path:
        made: list[Sealed] = []
        for number, (key, sealed_at, rotations) in enumerate(steps, start=1):
            given = {"sequence": number, "previous": made[-1] if made else None, "run_id": f"run_000{number}"}
            place = root / f"run_000{number}" / "r1"
            made.append(make_bundle(place, key=key, sealed_at=sealed_at, rotations=rotations, **given))
        return root

    vouched = chain(
        tmp_path / "vouched",
        (FIRST, "2026-04-04T00:00:00Z", []),
        (SECOND, "2026-04-06T00:00:00Z", [second]),
        (SECOND, "2026-04-20T00:00:00Z", [second]),
    )
    assert bundles.failed(verify.verify(vouched, pinned)) == {}
    late = chain(
        tmp_path / "late",
        (FIRST, "2026-04-04T00:00:00Z", []),
        (SECOND, "2026-04-20T00:00:00Z", [second]),
    )
    assert set(bundles.failed(verify.verify(late, pinned))) == {"key"}
    evil = STRANGER.record("2026-04-05T00:00:00Z", signer=FIRST)
    for name, dated_back in (
        ("by_the_old_key", [(FIRST, "2026-04-09T00:00:00Z", [second, evil])]),
        ("by_its_own_key", [(STRANGER, "2026-04-09T00:00:00Z", [second, evil])]),
    ):
        steps = [(SECOND, "2026-04-06T00:00:00Z", [second]), (SECOND, "2026-04-20T00:00:00Z", [second]), *dated_back]
        attacked = chain(tmp_path / name, *steps, (STRANGER, "2026-04-21T00:00:00Z", [second, evil]))
        report = verify.verify(attacked, pinned)
        wrong = {(finding.bundle, finding.check) for finding in report.findings if not finding.holds}
        assert wrong == {("run_0003/r1", "key"), ("run_0004/r1", "key")}, name


def test_what_is_no_bundle_among_bundles_is_found(tmp_path: Path, trust: Path) -> None:
    root = tmp_path / "closeouts"
    made = make_chain(root, 2)
    (root / ".r3.tmp").mkdir()  # what a closeout under way leaves is none of the verifier's business
    assert verify.verify(root, trust).holds
    for odd in ("notes.txt", "run_0001/notes.txt"):
        (root / odd).write_text("x", encoding="utf-8")
        report = verify.verify(root, trust)
        assert odd in bundles.failed(report)["bundles"]
        assert len(report.seals) == 2  # the rest is reported all the same
        (root / odd).unlink()
    (root / "run_0003").mkdir()
    assert "run_0003" in bundles.failed(verify.verify(root, trust))["bundles"]
    (root / "run_0003").rmdir()
    (root / "run_0003").symlink_to(root / "run_0002")
    assert "run_0003" in bundles.failed(verify.verify(root, trust))["bundles"]
    (root / "run_0003").unlink()
    (made[1].folder / "seal.json").unlink()
    assert "envelope" in bundles.failed(verify.verify(root, trust))
    shutil.rmtree(made[1].folder / "files")
    assert "envelope" in bundles.failed(verify.verify(root, trust))


def test_a_place_without_bundles_holds_nothing(tmp_path: Path, trust: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "there is no bundle" in bundles.failed(verify.verify(tmp_path / "empty", trust))["bundles"]
    for place in (tmp_path / "nowhere", trust):
        failed = bundles.failed(verify.verify(place, trust))["bundles"]
        assert failed == f"there is no folder {place.name}; a zip has to be unpacked first"
