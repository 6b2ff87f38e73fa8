"""The drill of docs/guides/restore-drill.md: its lines as they stand, on a home with sealed books."""

import re
import shlex
from pathlib import Path

import pytest

from tests.upkeep.conftest import CARDS, Copy
from zentra_pipeline import cli

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "restore-drill.md"
SEEN = {
    "backup": r"drill\.tar\.gz: \d+ files",
    "restore": r"acme +\d+ +\d+ +1 ",
    "doctor": r"home: sound\ntenant acme: sound",
    "verify": r"holds",
    "audit": r"^holds: \d+ entries\nhead \d+:[0-9a-f]{64}$",
    "reperform": r"\nit holds\n",
}


def lines() -> list[str]:
    """The commands of the guide's first block."""
    found = re.search(r"```bash\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1].splitlines()


def test_the_lines_of_the_drill_do_what_the_guide_says(
    in_order: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = next(run.run_id for run in in_order.records.runs if run.provider == CARDS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZENTRA_HOME", str(in_order.home.root))
    (tmp_path / "backups").mkdir()
    (tmp_path / "data").mkdir()
    done = []
    for line in lines():
        program, *words = shlex.split(line.replace("run_1a2b", run_id))
        assert (program, cli.invoke(words)) == ("zentra", 0), line
        out = capsys.readouterr().out
        assert "FAILS" not in out
        assert re.search(SEEN[words[0]], out, re.MULTILINE), (line, out)
        done.append(words[0])
    assert done == list(SEEN)
    table = [
        line.split("|")[1].strip() for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    assert [name.strip("`").split()[0] for name in table] == done, "the guide says of each line what one sees"
