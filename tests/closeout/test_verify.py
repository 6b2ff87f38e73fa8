"""What the verifier says of bundles that hold, of ones that contradict themselves, of keys, chains and heads."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.closeout import bundles
from tests.closeout.bundles import FIRST, SECOND, STRANGER, Sealed, TestKey, failed, make_bundle, match_row
from zentra_pipeline import actors, canonical_json
from zentra_pipeline.closeout import seal, verify

VERIFIER = Path(verify.__file__)
CHECKS = [
    *("trust", "folder", "envelope", "payload", "files", "key_rotations", "signature", "key", "people", "chain"),
    *("amendment", "evidence", "evidence_root", "evidence_status", "control_totals", "rollforward", "inputs"),
]


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    return bundles.trust(tmp_path / "trust.json")


def test_a_bundle_as_sealed_holds_and_every_check_is_named(tmp_path: Path, trust: Path) -> None:
    made = make_bundle(tmp_path / "bundle")
    report = verify.verify(made.folder, trust)
    assert report.holds
    assert [finding.check for finding in report.findings] == CHECKS
    (found,) = report.seals
    assert (found.seal_digest, found.payload["run_id"]) == (made.seal_digest, "run_0001")


def test_the_guide_explains_every_check() -> None:
    guide = (VERIFIER.parents[2] / "docs" / "guides" / "verify.md").read_text(encoding="utf-8")
    of_runs = guide.partition("## What is checked")[2].partition("Of a month's sign-off")[0]
    explained = re.findall(r"^\| `(\w+)` \|", of_runs, re.M)
    assert explained == [*CHECKS[:-1], "decisions", "inputs", "attachments", "head"]


def test_a_bundle_of_version_2_holds_with_its_write_offs_and_decisions(tmp_path: Path, trust: Path) -> None:
    made = make_bundle(tmp_path / "bundle", **bundles.second_version("run_0001"))
    report = verify.verify(made.folder, trust)
    assert failed(report) == {}
    assert [finding.check for finding in report.findings] == [*CHECKS[:-1], "decisions", "inputs"]


def _changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    given = bundles.second_version("run_0001")
    change(given)
    return given


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda given: given["rows"]["decisions"].pop(1), "decisions"),
        (lambda given: given["rows"]["decisions"][1].update(result="rejected"), "decisions"),
        (lambda given: given["rows"]["decisions"][1].update(exception_id="exc_0000002"), "decisions"),
        (lambda given: given["rows"]["decisions"].reverse(), "decisions"),
        (lambda given: given.update(log_position=2), "decisions"),
        (lambda given: given["rows"]["write_offs"][0].update(amount_minor="71"), "rollforward"),
        (lambda given: given["rows"]["write_offs"].clear(), "rollforward"),
        (lambda given: given["rows"]["write_offs"][0].update(item_type="settlement_line"), "rollforward"),
        (
            lambda given: given["totals"]["evidence"].update(gaps=[{"missing": [], "rows": 1, "examples": []}]),
            "control_totals",
        ),
        (lambda given: given.update(version=3), "decisions"),
        (lambda given: given.update(version=4), "payload"),
    ],
)
def test_tables_that_rest_on_no_decision_are_found_under_any_signature(
    change: Callable[[dict[str, Any]], Any], check: str, tmp_path: Path, trust: Path
) -> None:
    given = _changed(change)
    given["totals"]["decisions"] = len(given["rows"]["decisions"])
    made = make_bundle(tmp_path / "bundle", **given)
    assert check in failed(verify.verify(made.folder, trust))


def test_names_that_look_alike_are_warned_of(tmp_path: Path, trust: Path) -> None:
    alike = make_bundle(tmp_path / "alike", prepared_by="ana", approved_by="\u0430na", actor="\u0430na")
    report = verify.verify(alike.folder, trust)
    assert report.holds
    assert report.warnings == (
        "prepared by ana and approved by \u0430na (U+0430): the names look alike; make sure that they are two people",
    )
    assert any(line.startswith("WARNS  prepared by ana") for line in verify.lines_of(report))
    assert verify.verify(make_bundle(tmp_path / "two").folder, trust).warnings == ()
    assert verify._CONFUSABLES == actors.CONFUSABLES  # the verifier's copy


@pytest.mark.parametrize("package", verify.PACKAGES)
def test_without_a_package_nothing_is_judged_and_it_says_how_to_get_it(
    package: str, tmp_path: Path, trust: Path
) -> None:
    """Once it said that the signature does not hold."""
    made = make_bundle(tmp_path / "bundle")
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"sys.argv = ['verify.py', {str(made.folder)!r}, '--trust', {str(trust)!r}]\n"
        f"import runpy; runpy.run_path({str(VERIFIER)!r}, run_name='__main__')"
    )
    alone = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    through_zentra = program.replace("runpy.run_path", "runpy.run_module").replace(str(VERIFIER), "zentra_pipeline")
    through_zentra = through_zentra.replace("'verify.py'", "'zentra', 'verify'")
    whole = subprocess.run(
        [sys.executable, "-c", through_zentra], capture_output=True, text=True, check=False, cwd=VERIFIER.parents[2]
    )
    for done in (alone, whole):
        assert (done.returncode, done.stdout) == (2, "")
        assert f"the package {package} is needed to check seals" in done.stderr
        assert "python -m pip install cryptography rfc8785" in done.stderr
        assert "signature" not in done.stderr


def test_a_window_without_activity_holds(tmp_path: Path, trust: Path) -> None:
    rows = {**bundles.rows_of("run_0001", 0), "open_items": [], "exceptions": []}
    totals = {"exceptions": [], "rollforward": []}
    made = make_bundle(tmp_path / "bundle", rows=rows, totals=totals, run_revision=0, has_activity=False)
    assert failed(verify.verify(made.folder, trust)) == {}


def test_without_a_pinned_key_nothing_holds_and_the_rest_is_still_reported(tmp_path: Path) -> None:
    made = make_bundle(tmp_path / "bundle")
    report = verify.verify(made.folder, None)
    assert set(failed(report)) == {"trust", "signature", "key"}
    assert failed(report)["trust"].startswith("no key is pinned")


# What a holder of a trusted key could get wrong -----------------------------------------------------------------------

ROWS = bundles.rows_of("run_0001")
EVIDENCE = {"evidence", "evidence_root", "evidence_status", "control_totals"}
TOTALS = {"control_totals", "rollforward"}
RUN = "run_0001"


def evidence(**changes: str | None) -> dict[str, Any]:
    return {"rows": {**ROWS, "evidence": [*ROWS["evidence"][1:], bundles.evidence_row(0, RUN, **changes)]}}


def matches(*rows: Mapping[str, Any]) -> dict[str, Any]:
    return {"rows": {**ROWS, "matches": list(rows)}}


def rollforward(**changes: str) -> dict[str, Any]:
    (row,) = bundles.control_totals(ROWS)["rollforward"]
    return {"totals": {"rollforward": [row | changes]}}


CONTRADICTIONS: list[tuple[str, dict[str, Any], set[str]]] = [
    ("root of other rows", {"evidence_root": "0" * 64}, {"evidence_root"}),
    ("another count of rows", {"evidence_rows": 4}, {"evidence"}),
    ("a row of another run", evidence(run_id="run_0002"), EVIDENCE),
    ("a row not sealed", evidence(closeout_status="open"), EVIDENCE),
    ("a row amended in a first revision", evidence(closeout_status="amended"), EVIDENCE),
    ("audit_ready with a row that is not", evidence(evidence_status="incomplete"), {"evidence_status"}),
    ("incomplete with rows that all are ready", {"evidence_status": "incomplete"}, {"evidence_status"}),
    ("prepared and approved by one", {"prepared_by": "Ben "}, {"people"}),
    ("another actor than approved", {"actor": "ana"}, {"people"}),
    ("a first seal with a predecessor", {"chain": {"sequence": 1, "previous_seal": "0" * 64}}, {"chain"}),
    ("a later seal without a predecessor", {"chain": {"sequence": 2, "previous_seal": None}}, {"chain"}),
    ("number 0", {"chain": {"sequence": 0, "previous_seal": None}}, {"chain"}),
    ("a second revision of nothing", {"closeout_revision": 2}, {"amendment"}),
    ("a manifest without files", {"inputs": {}}, {"inputs"}),
    (
        "an amendment that is a first revision",
        {"amends": Sealed(Path(), {"closeout_id": "clo_0", "closeout_revision": 0}, "0" * 64)},
        {"amendment"},
    ),
    ("scope of another tenant", {"scope": "other/rail_primary"}, {"payload"}),
    ("a day off the calendar", {"sealed_at": "2026-02-30T00:00:00Z"}, {"payload"}),
    ("activity without a run", {"run_revision": 0}, {"payload"}),
    (
        "a failed policy",
        {"policy": {"name": "closeout", "digest": "0" * 64, "result": "failed", "checks": []}},
        {"payload"},
    ),
    ("a version to come", {"version": 2}, {"payload"}),
    ("a key nobody knows", {"note": "x"}, {"payload"}),
    ("sealed before the key was valid", {"sealed_at": "2025-12-31T23:59:59.999999Z"}, {"key"}),
    (
        "matches that do not add up",
        matches(match_row(1, RUN, 7), match_row(2, RUN, 8)) | {"totals": bundles.control_totals(ROWS)},
        TOTALS,
    ),
    ("a match twice", matches(match_row(1, RUN), match_row(1, RUN)), TOTALS),
    ("matches out of order", matches(match_row(2, RUN), match_row(1, RUN)), TOTALS),
    ("a fraction of a minor unit", matches(match_row(1, RUN, settlement_minor="1000.0")), TOTALS),
    ("a match with a column more", matches(match_row(1, RUN, note="x")), TOTALS),
    ("a match of another run counted as settled", matches(match_row(1, "run_0009")), {"rollforward"}),
    (
        "exceptions out of order",
        {"rows": {**ROWS, "exceptions": [bundles.exception_row(n, RUN) for n in (2, 1)]}},
        {"control_totals"},
    ),
    (
        "an exception without a column",
        {"rows": {**ROWS, "exceptions": [{"exception_id": "exc_1"}]}},
        {"control_totals"},
    ),
    ("events miscounted", {"totals": {"events": 1}}, {"control_totals"}),
    ("decisions miscounted", {"totals": {"decisions": 2}}, {"control_totals"}),
    (
        "rows unexplained",
        {"totals": {"conservation": [{"rows_unexplained": 1, "amount_unexplained_minor": "0"}]}},
        {"control_totals"},
    ),
    (
        "amounts unexplained",
        {"totals": {"conservation": [{"rows_unexplained": 0, "amount_unexplained_minor": "-1"}]}},
        {"control_totals"},
    ),
    ("totals nobody knows", {"totals": {"more": 1}}, TOTALS),
    ("a roll-forward that does not add up", rollforward(opening_minor="1"), {"rollforward"}),
    ("a roll-forward with a difference", rollforward(difference_minor="1"), {"rollforward"}),
    ("closing at what is not open", rollforward(opening_minor="1", closing_minor="-499"), {"rollforward"}),
    ("settling what no match settled", rollforward(settled_minor="2999", opening_minor="-1"), {"rollforward"}),
    ("a currency left out of the roll-forward", {"totals": {"rollforward": []}}, {"rollforward"}),
]


@pytest.mark.parametrize(("changes", "checks"), [pytest.param(c, k, id=name) for name, c, k in CONTRADICTIONS])
def test_a_trusted_signature_does_not_cover_up(
    changes: dict[str, Any], checks: set[str], tmp_path: Path, trust: Path
) -> None:
    made = make_bundle(tmp_path / "bundle", **changes)
    found = set(failed(verify.verify(made.folder, trust)))
    if "payload" in checks:  # nothing that rests on it can be said either
        assert "payload" in found
        assert found.isdisjoint({"trust", "folder", "envelope", "signature"})
    else:
        assert found == checks


def swap_lines(content: bytes) -> bytes:
    first, second, *rest = content.splitlines(keepends=True)
    return b"".join([second, first, *rest])


BROKEN_LINES: list[tuple[str, str, Callable[[bytes], bytes]]] = [
    ("rows out of order", "evidence", swap_lines),
    ("a last line without end", "evidence", lambda content: content[:-1]),
    ("an empty line", "evidence", lambda content: b"\n" + content),
    ("bytes that are no UTF-8", "evidence", lambda content: content.replace(b"ana", b"\xff")),
    ("a surrogate in UTF-8", "evidence", lambda content: content.replace(b"ana", b"\xed\xa0\x80")),
    ("a letter written as an escape", "evidence", lambda content: content.replace(b"ana", b"\\u0061na")),
    ("a space between", "evidence", lambda content: content.replace(b":", b": ", 1)),
    ("a key twice", "evidence", lambda content: content.replace(b"{", b'{"actor":null,', 1)),
    ("something before a match", "matches", lambda content: content.replace(b"\n{", b"\nx{", 1)),
    ("two matches on a line", "matches", lambda content: content.replace(b"\n", b"", 1)),
    ("a match that is no UTF-8", "matches", lambda content: content.replace(b"exact", b"\xff", 1)),
    ("a match twice", "matches", lambda content: content[: content.index(b"\n") + 1] + content),
    ("an exception twice", "exceptions", lambda content: content * 2),
    ("a key of an exception twice", "exceptions", lambda content: content.replace(b"{", b'{"amount_minor":null,', 1)),
    ("an exception spelt otherwise", "exceptions", lambda content: content.replace(b":", b": ", 1)),
    ("an event that is no object", "events", lambda content: b"[]\n" + content[content.index(b"\n") + 1 :]),
    ("a float in an event", "events", lambda content: content.replace(b"3", b"3.0")),
]


@pytest.mark.parametrize("block", [1 << 20, 200])
@pytest.mark.parametrize(("name", "change"), [pytest.param(n, c, id=i) for i, n, c in BROKEN_LINES])
def test_lines_not_of_their_form_are_found_under_any_signature(
    name: str,
    change: Callable[[bytes], bytes],
    block: int,
    tmp_path: Path,
    trust: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sealed by the trusted key with right digests and counts; small blocks put lines into blocks of their own."""
    monkeypatch.setattr(verify, "_BLOCK", block)
    made = make_bundle(tmp_path / "bundle")
    path = made.folder / "files" / f"{name}.jsonl"
    content = change(path.read_bytes())
    path.write_bytes(content)
    rows = content.count(b"\n")
    totals = made.folder / "files" / "control_totals.json"
    stated = json.loads(totals.read_bytes())
    stated[name] = [stated[name][0] | {name: rows}] if isinstance(stated[name], list) else stated[name]
    bundles.write_json(totals, stated)
    seal.seal_bundle(made.folder, made.payload, FIRST.signing)
    report = verify.verify(made.folder, trust)
    assert "control_totals" in failed(report)
    assert {"files", "signature"}.isdisjoint(failed(report))
    assert name in failed(report)["control_totals"]


def test_a_suggestion_taken_back_had_settled_nothing(tmp_path: Path, trust: Path) -> None:
    kept, retaken = match_row(1, RUN), match_row(2, "run_0000", 300, status="reversed")
    suggestion = match_row(3, "run_0000", 70, status="reversed", rule="amount_date")
    totals: dict[str, Any] = {
        "matches": [
            {"currency": "USD", "status": status, "matches": count, "difference_minor": "0"}
            | dict.fromkeys(("settlement_minor", "ledger_minor"), amount)
            for status, count, amount in (("confirmed", 1, "1000"), ("reversed", 2, "370"))
        ],
        **rollforward(posted_minor="200", settled_minor="700")["totals"],
    }
    made = make_bundle(tmp_path / "bundle", totals=totals, **matches(kept, retaken, suggestion))
    assert failed(verify.verify(made.folder, trust)) == {}


def test_a_sum_beyond_64_bits_is_added_exactly(tmp_path: Path, trust: Path) -> None:
    big = 2**63 - 1
    rows = [match_row(number, "run_0001", big) for number in range(3)]
    assert failed(verify.verify(make_bundle(tmp_path / "bundle", **matches(*rows)).folder, trust)) == {}


def test_a_trust_file_with_a_key_twice_pins_nothing(tmp_path: Path, trust: Path) -> None:
    made = make_bundle(tmp_path / "bundle")
    trust.write_bytes(trust.read_bytes().replace(b'"version":1', b'"version":1,"version":1'))
    assert "a key appears twice" in failed(verify.verify(made.folder, trust))["trust"]


def test_a_bundle_in_another_ones_place_is_found(tmp_path: Path, trust: Path) -> None:
    make_bundle(tmp_path / "run_0001" / "r2")
    make_bundle(tmp_path / "run_0009" / "r1")
    make_bundle(tmp_path / "run_0001" / "r1")
    assert "lies elsewhere" in failed(verify.verify(tmp_path / "run_0001" / "r2", trust))["payload"]
    assert "lies elsewhere" in failed(verify.verify(tmp_path / "run_0009" / "r1", trust))["payload"]
    assert failed(verify.verify(tmp_path / "run_0001" / "r1", trust)) == {}


# Keys -----------------------------------------------------------------------------------------------------------------


def test_a_key_that_is_not_pinned_is_not_believed_even_if_the_bundle_brings_it(tmp_path: Path, trust: Path) -> None:
    for number, rotations in enumerate(([], [STRANGER.record()], [STRANGER.record(signer=STRANGER)])):
        made = make_bundle(tmp_path / str(number), key=STRANGER, rotations=rotations)
        assert set(failed(verify.verify(made.folder, trust))) == {"signature", "key"}


def test_a_new_key_is_believed_when_the_pinned_one_signed_it(tmp_path: Path, trust: Path) -> None:
    third = TestKey("third")
    second = SECOND.record("2026-04-01T00:00:00Z", signer=FIRST)
    last = third.record("2026-04-20T00:00:00Z", signer=SECOND)
    for key, rotations in ((SECOND, [second]), (third, [last, second])):
        made = make_bundle(tmp_path / key.name, key=key, rotations=rotations)
        assert failed(verify.verify(made.folder, trust)) == {}
    alone = make_bundle(tmp_path / "alone", key=third, rotations=[last])
    assert "of unknown signers not used" in str(verify.verify(alone.folder, trust))
    assert set(failed(verify.verify(alone.folder, trust))) == {"signature", "key"}


def test_a_signer_struck_off_the_trust_file_is_not_needed_and_not_believed(tmp_path: Path) -> None:
    second = SECOND.record("2026-04-01T00:00:00Z", signer=FIRST)
    trust = bundles.trust(tmp_path / "trust.json", second)
    assert verify.verify(make_bundle(tmp_path / "new", key=SECOND, rotations=[second]).folder, trust).holds
    assert not verify.verify(make_bundle(tmp_path / "old", key=FIRST, rotations=[second]).folder, trust).holds


def test_a_rotation_that_was_not_signed_as_it_is_is_found(tmp_path: Path) -> None:
    second = SECOND.record("2026-04-01T00:00:00Z", signer=FIRST)
    by_stranger = SECOND.record("2026-04-01T00:00:00Z", signer=STRANGER)
    broken = [
        {**second, "valid_from": "2026-03-01T00:00:00Z"},
        {**second, "signature": by_stranger["signature"]},
        {**by_stranger, "signed_by": FIRST.keyid},
        {**second, "signature": None},
        {**second, "public_key": STRANGER.record()["public_key"]},
        {**second, "signed_by": second["keyid"][::-1], "more": 1},
    ]
    trust = bundles.trust(tmp_path / "trust.json")
    for number, record in enumerate(broken):
        made = make_bundle(tmp_path / str(number), key=SECOND, rotations=[record])
        assert {"key_rotations", "signature", "key"} <= set(failed(verify.verify(made.folder, trust))), number
    pinned = bundles.trust(tmp_path / "broken.json", FIRST.record(), broken[0])
    assert "trust" in failed(verify.verify(make_bundle(tmp_path / "bundle").folder, pinned))


def test_a_key_begins_while_its_signer_is_valid(tmp_path: Path) -> None:
    old = FIRST.record(valid_until="2026-04-01T00:00:00Z")
    for begin, holds in (("2026-04-01T00:00:00Z", True), ("2026-04-01T00:00:00.000001Z", False)):
        second = SECOND.record(begin, signer=FIRST)
        made = make_bundle(tmp_path / begin, key=SECOND, rotations=[second])
        assert verify.verify(made.folder, bundles.trust(tmp_path / "both.json", old, second)).holds is holds


def test_a_retired_key_cannot_bring_in_a_successor_by_dating_it_back(tmp_path: Path) -> None:
    """Once anybody who held a leaked key whose time was over could sign a key of their own, and seal with it today."""
    old = bundles.trust(tmp_path / "old.json", FIRST.record(valid_until="2026-04-01T00:00:00Z"))
    dated_back = SECOND.record("2026-03-01T00:00:00Z", signer=FIRST)
    third = TestKey("third").record("2026-03-02T00:00:00Z", signer=SECOND)
    made = make_bundle(tmp_path / "bundle", key=SECOND, rotations=[dated_back])
    assert "nothing proves that it signed it before" in failed(verify.verify(made.folder, old))["key"]
    further = make_bundle(tmp_path / "further", key=TestKey("third"), rotations=[dated_back, third])
    assert set(failed(verify.verify(further.folder, old))) == {"key"}
    # Within its signer's time a key can do what its signer could; and one that is pinned needs nobody's word.
    early = make_bundle(tmp_path / "early", key=SECOND, rotations=[dated_back], sealed_at="2026-03-31T00:00:00Z")
    assert failed(verify.verify(early.folder, old)) == {}
    both = bundles.trust(tmp_path / "both.json", FIRST.record(valid_until="2026-04-01T00:00:00Z"), dated_back)
    assert failed(verify.verify(made.folder, both)) == {}


@pytest.mark.parametrize(
    ("sealed_at", "holds"),
    [
        ("2026-01-01T00:00:00Z", True),
        ("2025-12-31T23:59:59Z", False),
        ("2026-05-01T00:00:00.5Z", True),
        ("2026-05-01T00:00:00.500001Z", False),
    ],
)
def test_a_key_signs_only_while_it_is_valid(sealed_at: str, holds: bool, tmp_path: Path) -> None:
    trust = bundles.trust(tmp_path / "trust.json", FIRST.record(valid_until="2026-05-01T00:00:00.5Z"))
    made = make_bundle(tmp_path / "bundle", sealed_at=sealed_at)
    assert set(failed(verify.verify(made.folder, trust))) == (set() if holds else {"key"})


def test_of_several_signatures_all_known_ones_must_hold(tmp_path: Path) -> None:
    made = make_bundle(tmp_path / "bundle")
    payload = canonical_json.canonical({**made.payload, "files": seal.describe_files(made.folder)})
    both = bundles.trust(tmp_path / "both.json", FIRST.record(), SECOND.record())
    one = bundles.trust(tmp_path / "one.json")
    (made.folder / "seal.json").write_bytes(seal.envelope(payload, FIRST.signing, SECOND.signing))
    assert verify.verify(made.folder, both).holds
    # Whoever has not pinned the second key cannot distinguish it from junk that somebody added.
    assert "1 more signature of keys that are not known" in failed(verify.verify(made.folder, one))["signature"]
    forged = TestKey("forged").signing
    object.__setattr__(forged, "keyid", SECOND.keyid)
    (made.folder / "seal.json").write_bytes(seal.envelope(payload, FIRST.signing, forged))
    assert set(failed(verify.verify(made.folder, both))) == {"signature"}


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\xff", b'{"version":1,"keys":[]}', b'{"version":1,"keys":[{}]}', b"[" * 200_000, b"1" * 9999],
)
def test_a_trust_or_head_file_of_any_content_is_a_finding(content: bytes, tmp_path: Path, trust: Path) -> None:
    made = make_bundle(tmp_path / "bundle")
    file = tmp_path / "file.json"
    file.write_bytes(content)
    assert "trust" in failed(verify.verify(made.folder, file))
    assert set(failed(verify.verify(made.folder, trust, file))) == {"head_file"}


def test_a_key_listed_twice_is_not_pinned(tmp_path: Path) -> None:
    made = make_bundle(tmp_path / "bundle")
    twice = bundles.trust(tmp_path / "trust.json", FIRST.record(valid_until="2026-01-02T00:00:00Z"), FIRST.record())
    assert "twice" in failed(verify.verify(made.folder, twice))["trust"]


# Alone, without network, quickly --------------------------------------------------------------------------------------


def test_the_verifier_needs_nothing_of_the_package() -> None:
    tree = ast.parse(VERIFIER.read_text(encoding="utf-8"))
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name or "").partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported - sys.stdlib_module_names == {"cryptography", "rfc8785"}


@pytest.fixture
def alone(tmp_path: Path) -> list[str]:
    """The command that runs a copy of the verifier, isolated, in a folder without anything else."""
    copy = tmp_path / "taken away" / "check.py"
    copy.parent.mkdir()
    shutil.copyfile(VERIFIER, copy)
    return [sys.executable, "-I", str(copy)]


def run(command: list[object], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere"}
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def test_a_copy_of_the_one_file_checks_a_bundle(tmp_path: Path, trust: Path, alone: list[str]) -> None:
    made = make_bundle(tmp_path / "bundle")
    done = run([*alone, made.folder, "--trust", trust], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("holds  ") == len(CHECKS)
    assert "Everything holds." in done.stdout
    (made.folder / "files" / "report.html").write_text("other", encoding="utf-8")
    done = run(
        [*alone, made.folder, "--trust", trust, "--head", bundles.head(tmp_path / "head.json", [made])], tmp_path
    )
    assert (done.returncode, done.stderr) == (5, "")
    assert "FAILS  files            files/report.html has 5 bytes" in done.stdout
    assert "1 check of 19 failed." in done.stdout
    for wrong in ([made.folder], [made.folder, "--trust", "nowhere"], ["nowhere", "--trust", trust]):
        assert run([*alone, *wrong], tmp_path).returncode == 2


UNSHARE = ["unshare", "--user", "--map-root-user", "--net"]
NO_NAMESPACE = shutil.which("unshare") is None or subprocess.run([*UNSHARE, "true"], check=False).returncode != 0


@pytest.mark.skipif(NO_NAMESPACE, reason="on this machine nobody may make a namespace without network")
def test_it_needs_no_network(tmp_path: Path, trust: Path, alone: list[str]) -> None:
    made = make_bundle(tmp_path / "bundle")
    assert run([*UNSHARE, *alone, made.folder, "--trust", trust], tmp_path).returncode == 0


def test_names_in_a_bundle_cannot_drive_the_terminal(tmp_path: Path, trust: Path, alone: list[str]) -> None:
    made = make_bundle(tmp_path / "bundle", owner="x\u202e", prepared_by="\u009b31m", approved_by="ben")
    done = run([*alone, made.folder, "--trust", trust], tmp_path)
    assert done.returncode == 0
    assert "\\x9b31m" in done.stdout
    assert all(char.isprintable() for line in done.stdout.splitlines() for char in line)


def test_a_hundred_thousand_rows_take_less_than_a_second(tmp_path: Path, trust: Path) -> None:
    """Processor time, so that other tests beside this one do not matter."""
    made = bundles.make_large_bundle(tmp_path / "bundle", 100_000)
    fastest = 60.0
    for _ in range(3):
        started = time.process_time()
        assert verify.verify(made.folder, trust).holds
        fastest = min(fastest, time.process_time() - started)
    assert fastest < 1.0


@pytest.mark.parametrize(
    ("line", "is_event"),
    [
        (b'{"a":"b","data":{"n":-5,"t":"x"}}', True),
        (b'{"a":"quote \\" and \\u000b","data":{"list":[{"n":1}],"t":true}}', True),
        ('{"a":"é\u2028😀"}'.encode(), True),
        (b"{}", True),
        (b"", False),
        (b"[]", False),
        (b'{"a":1.5}', False),
        (b'{"a":01}', False),
        (b'{"a":"b"', False),
        (b'{"a":"b"} ', True),
        (b'{"a":"\xff"}', False),
        (b'{"a":"\t"}', False),
        (b'{"a":{"b":{"c":1}}}', True),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_line_of_events_is_a_json_object_wherever_it_is(line: bytes, is_event: bool, place: int) -> None:
    """Plain lines go by in one stride, and others are decoded: neither way accepts what is none."""
    lines = [b'{"id":"e1"}', b'{"id":"e2"}']
    lines.insert(place, line)
    events = verify._Events()
    content = b"".join(each + b"\n" for each in lines)
    if is_event:
        events.take(content)
        assert events.rows == 3
    else:
        with pytest.raises((verify._FailedError, ValueError)):
            events.take(content)
