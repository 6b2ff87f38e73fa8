"""`zentra reperform` makes a sealed run again from landed bytes and says whether, and in which rows, it differs."""

import base64
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from tests.scenarios.world import TENANT
from tests.upkeep import shelf
from tests.upkeep.conftest import CARDS, Copy
from zentra_pipeline import cli, durable_files
from zentra_pipeline.errors import UsageError, VerificationError
from zentra_pipeline.published import lake_files
from zentra_pipeline.upkeep.reperform import reperform, reperform_bundle


def run_of(copy: Copy, provider: str, window: str = "2026-04-20") -> str:
    return next(run.run_id for run in copy.records.runs if (run.provider, run.ledger_window) == (provider, window))


def bundle_of(copy: Copy) -> Path:
    return copy.paths.root / str(copy.records.sealed[0].bundle)


def test_a_sealed_run_comes_out_again_from_landed_bytes_alone(copy: Copy) -> None:
    shutil.rmtree(copy.paths.staged)
    shutil.rmtree(copy.paths.lake / "matches" / f"provider={CARDS}")
    run_id, (closeout,) = run_of(copy, CARDS), copy.records.sealed
    before = copy.derived()
    outcome = reperform(copy.tenant, run_id)
    assert outcome.holds
    assert outcome.claim.closeout_id == closeout.closeout_id
    compared = {comparison.name: comparison.found for comparison in outcome.comparisons}
    assert compared["evidence"] == closeout.evidence_root
    assert compared["inputs"] == copy.records.runs_by_id[run_id].inputs_digest
    assert compared.keys() == {*lake_files.ROW_ORDER, "inputs", "evidence"}
    assert copy.derived() == before
    assert [path.name for path in copy.paths.root.iterdir() if path.name.startswith("reperform")] == []


@pytest.mark.slow
def test_a_run_is_made_from_the_earlier_runs_as_published(copy: Copy) -> None:
    outcome = reperform(copy.tenant, run_of(copy, "rail_primary", "2026-04-21"))
    assert (outcome.holds, outcome.earlier, outcome.claim.closeout_id) == (True, 1, None)


def rewrite_history(copy: Copy, run_id: str, table: str) -> None:
    """Change the amounts a run published, and its recorded digest with them, as somebody with all rights could."""
    revision = copy.records.revisions_by_key[run_id, 1]
    path = copy.paths.root / revision.tables[table]["path"]
    pl.read_parquet(path).with_columns(ledger_minor=pl.col("ledger_minor") + 1).write_parquet(path)
    revision.tables[table]["sha256"] = durable_files.digest_of(path)
    with closing(sqlite3.connect(copy.paths.operational_store)) as connection:
        connection.execute(
            "update run_revisions set tables = ? where run_id = ?", (json.dumps(revision.tables), run_id)
        )
        connection.commit()


def test_published_rows_that_the_inputs_do_not_come_to_are_named(
    copy: Copy, original: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.use(monkeypatch, original.paths)
    run_id = run_of(copy, "rail_primary", "2026-04-21")
    rewrite_history(copy, run_id, "matches")
    outcome = reperform(copy.tenant, run_id)
    assert [comparison.name for comparison in outcome.comparisons if not comparison.holds] == ["matches"]
    (rows,) = (comparison.rows for comparison in outcome.comparisons if comparison.name == "matches")
    amounts = {(sign, json.loads(row)["ledger_minor"]) for sign, row in rows}
    assert {("-", 106), ("+", 105), ("-", 901), ("+", 900)} <= amounts


def test_a_bundle_elsewhere_is_compared_with_what_its_inputs_come_to(
    copy: Copy, original: Copy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shelf.use(monkeypatch, original.paths)
    bundle = tmp_path / "handed_out"
    shutil.copytree(bundle_of(copy), bundle)
    assert reperform_bundle(copy.home, bundle).holds
    evidence = bundle / "files" / "evidence.jsonl"
    evidence.write_text(evidence.read_text().replace("Q1", "Q8"))
    envelope = json.loads((bundle / "seal.json").read_text())
    payload = json.loads(base64.b64decode(envelope["payload"])) | {"evidence_root": "0" * 64}
    envelope["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    (bundle / "seal.json").write_text(json.dumps(envelope))
    (apart,) = (item for item in reperform_bundle(copy.home, bundle).comparisons if not item.holds)
    assert apart.name == "evidence"
    references = {(sign, json.loads(row)["provider_reference"]) for sign, row in apart.rows}
    assert references == {("-", "Q8"), ("+", "Q1")}


def test_damaged_inputs_are_named_and_nothing_is_compared(copy: Copy) -> None:
    tuesday = run_of(copy, "rail_primary", "2026-04-21")
    earlier = copy.records.revisions_by_key[run_of(copy, "rail_primary"), 2]
    (copy.paths.root / earlier.tables["open_items"]["path"]).unlink()
    with pytest.raises(VerificationError, match="`zentra rebuild --tenant acme` makes it again"):
        reperform(copy.tenant, tuesday)
    (copy.paths.landing / copy.records.files[-1].sha256).unlink()
    with pytest.raises(VerificationError, match="is missing: ingest the original file again"):
        reperform(copy.tenant, run_of(copy, CARDS))


@pytest.mark.parametrize("content", ["{", "[]", '{"payload": "e30="}', '{"payload": "!"}', '{"payload": 1}'])
def test_what_is_no_bundle_is_refused_with_words(copy: Copy, tmp_path: Path, content: str) -> None:
    (tmp_path / "bundle" / "files").mkdir(parents=True)
    (tmp_path / "bundle" / "seal.json").write_text(content)
    (tmp_path / "bundle" / "files" / "inputs.json").write_text("{}")
    with pytest.raises(VerificationError, match="bundle"):
        reperform_bundle(copy.home, tmp_path / "bundle")


def test_a_run_or_revision_that_is_not_there_is_misuse(copy: Copy) -> None:
    with pytest.raises(UsageError, match="has published nothing"):
        reperform(copy.tenant, "run_none")
    with pytest.raises(UsageError, match="has no revision 9: it is at revision 2"):
        reperform(copy.tenant, run_of(copy, "rail_primary"), 9)


def test_the_command_prints_what_holds(
    copy: Copy, original: Copy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.use(monkeypatch, original.paths)
    home = ["--home", str(copy.home.root)]
    assert cli.invoke(["reperform", str(bundle_of(copy)), *home]) == 0
    assert capsys.readouterr().out.endswith("\nit holds\n")
    run_id = run_of(copy, "rail_primary", "2026-04-21")
    rewrite_history(copy, run_id, "matches")
    assert cli.invoke(["reperform", "--tenant", TENANT, "--run", run_id, "--json", *home]) == 5
    reported = json.loads(capsys.readouterr().out)
    assert reported["holds"] is False
    assert cli.invoke(["reperform", "--tenant", TENANT, *home]) == 2
