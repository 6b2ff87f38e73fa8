"""The command line on a home whose stores are in PostgreSQL says and does what it does on files."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Zentra

pytestmark = [pytest.mark.on_postgresql, pytest.mark.usefixtures("stores_reopened")]

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.usefixtures("postgres")
def test_a_home_is_made_filled_and_looked_at(zentra: Zentra, tmp_path: Path, settlement_csv: Path) -> None:
    assert zentra("init", "--json").json["is_new"] is True
    assert zentra("init", "--json").json["is_new"] is False
    assert zentra("tenant", "add", "acme", "--json").json["is_new"] is True
    assert zentra("tenant", "add", "acme", "--json").json["is_new"] is False
    assert zentra("tenant", "list").out == "acme\n"
    ingest = ("ingest", "--tenant", "acme", "--provider", "rail", "--kind", "settlement", settlement_csv, "--json")
    first, again = zentra(*ingest), zentra(*ingest)
    assert (first.code, again.code) == (0, 0)
    assert zentra("runs", "list", "--tenant", "acme", "--json").json["items"] == []
    rows = zentra("query", "--tenant", "acme", "select line_id from settlement_lines order by 1", "--format", "json")
    assert rows.json == [{"line_id": "L1"}, {"line_id": "L2"}]
    token = ("token", "create", "--tenant", "acme", "--actor", "ann", "--role", "admin", "--json")
    assert zentra(*token).json["tenant"] == "acme"
    assert not list((tmp_path / "home").rglob("*.db"))


@pytest.mark.usefixtures("postgres")
def test_a_store_that_does_not_answer_is_reported_in_one_line(acme: Zentra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENTRA_DATABASE_URL", "postgresql://ann:hidden@127.0.0.1:9/zentra")
    done = acme("runs", "list", "--tenant", "acme")
    assert done.code == 75
    assert done.out == ""
    assert done.err.startswith("Error: PostgreSQL database zentra at 127.0.0.1:9 (user ann) cannot be reached")
    assert done.err.count("\n") == 1
    assert "hidden" not in done.err


@pytest.mark.usefixtures("sqlite")
def test_the_driver_is_not_imported_for_a_home_in_files(acme: Zentra, tmp_path: Path) -> None:
    program = (
        "import sys; from zentra_pipeline import cli;"
        "code = cli.invoke(['runs', 'list', '--tenant', 'acme', '--home', sys.argv[1], '--json']);"
        "print(code, 'psycopg' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "home")], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stderr.splitlines()[-1] == "0 False"
