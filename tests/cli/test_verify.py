"""`zentra verify` says what holds and what does not, and ends with 5 unless all of it holds."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Zentra
from tests.closeout import bundles

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    return bundles.trust(tmp_path / "trust.json")


def test_a_bundle_that_holds_ends_with_0_and_needs_no_home(zentra: Zentra, tmp_path: Path, trust: Path) -> None:
    made = bundles.make_bundle(tmp_path / "bundle")
    done = zentra("verify", made.folder, "--trust", trust)
    assert (done.code, done.err) == (0, "")
    assert "Everything holds.\nWhat this cannot show:\n- " in done.out
    assert "holds  evidence_root    RFC 6962 root " in done.out
    assert not (tmp_path / "home").exists()


def test_what_does_not_hold_ends_with_5_and_is_named(zentra: Zentra, tmp_path: Path, trust: Path) -> None:
    made = bundles.make_bundle(tmp_path / "bundle", prepared_by="ben")
    done = zentra("verify", made.folder, "--trust", trust)
    assert done.code == 5
    assert [line for line in done.out.splitlines() if line.startswith("FAILS")] == [
        "FAILS  people           ben prepared and approved it"
    ]
    assert "1 check of 17 failed." in done.out


def test_programs_get_findings_seals_and_limits(zentra: Zentra, tmp_path: Path, trust: Path) -> None:
    made = bundles.make_chain(tmp_path / "closeouts", 2)
    head = bundles.head(tmp_path / "head.json", made)
    done = zentra("verify", tmp_path / "closeouts", "--trust", trust, "--head", head, "--json")
    assert done.code == 0
    assert done.json["holds"] is True
    assert done.json["findings"][0] == {"check": "trust", "holds": True, "detail": "1 key pinned", "bundle": ""}
    assert {finding["bundle"] for finding in done.json["findings"]} == {"", "run_0001/r1", "run_0002/r1"}
    assert [found["seal_digest"] for found in done.json["seals"]] == [each.seal_digest for each in made]
    assert done.json["seals"][0]["closeout_id"] == "clo_run_0001_1"
    assert done.json["limits"]
    shutil.rmtree(made[1].folder.parent)
    done = zentra("verify", tmp_path / "closeouts", "--trust", trust, "--head", head, "--json")
    assert (done.code, done.json["holds"]) == (5, False)


def test_without_trust_the_home_s_own_keys_are_used_and_named(zentra: Zentra, tmp_path: Path) -> None:
    made = bundles.make_bundle(tmp_path / "bundle")
    done = zentra("verify", made.folder)
    assert done.code == 5
    assert "FAILS  trust            no key is pinned" in done.out
    (tmp_path / "home").mkdir()
    bundles.trust(tmp_path / "home" / "trust.json")
    done = zentra("verify", made.folder)
    assert done.code == 0
    assert "an auditor pins a copy of their own" in done.err


def test_files_that_are_not_there_are_misuse(zentra: Zentra, tmp_path: Path, trust: Path) -> None:
    made = bundles.make_bundle(tmp_path / "bundle")
    for words in (["nowhere"], [made.folder, "--trust", "nowhere"], [made.folder, "--head", "nowhere"], []):
        assert zentra("verify", *words).code == 2


def test_verify_imports_nothing_heavy_and_answers_at_once(tmp_path: Path, trust: Path) -> None:
    made = bundles.make_bundle(tmp_path / "bundle")
    program = (
        f"import sys; sys.argv = ['zentra', 'verify', {str(made.folder)!r}, '--trust', {str(trust)!r}]\n"
        "from zentra_pipeline.cli import main\n"
        "try: main()\n"
        "finally: print(sorted(set(sys.modules) & {'rich', 'sqlalchemy', 'polars', 'duckdb', 'dagster', 'dbt',"
        " 'pandera', 'pydantic', 'yaml'}))"
    )
    fastest = 10.0
    for _ in range(3):
        started = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
        fastest = min(fastest, time.perf_counter() - started)
    assert done.stdout.endswith("\n[]\n")
    assert fastest < 0.8
