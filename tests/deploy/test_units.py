"""systemd takes the units of deploy/, and the programs that they start take their options.

Not shown here: that systemd starts them; no systemd runs where the tests do.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dagster._daemon.cli import run_command

from tests.documents.test_deploy import DEPLOY, ROOT
from tests.documents.test_documents import check_command

pytestmark = pytest.mark.ci

REQUIRE_VARIABLE = "ZENTRA_REQUIRE_SYSTEMD"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
# Where the units have them, and where they are here.
PLACES = {"/opt/venv/bin": str(Path(sys.executable).parent), "/opt/zentra": str(ROOT)}


def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        reason = "systemd is not installed: apt-get install systemd"
        if os.environ.get(REQUIRE_VARIABLE) == "1":
            pytest.fail(f"{reason} ({REQUIRE_VARIABLE} is set)")
        pytest.skip(reason)
    for unit in UNITS:
        (tmp_path / unit.name).write_text(_here(unit.read_text(encoding="utf-8")), encoding="utf-8")
    files = [str(tmp_path / unit.name) for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_what_a_unit_starts_takes_its_options(unit: Path) -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
    program, *words = shlex.split(_here(line))
    if Path(program).name == "zentra":
        check_command(words)
        return
    assert (Path(program).name, words.pop(0)) == ("dagster-daemon", "run")
    context = run_command.make_context("dagster-daemon run", words)
    assert context.params["workspace"] == (str(ROOT / "workspace.yaml"),)


def _here(text: str) -> str:
    for there, here in PLACES.items():
        text = text.replace(there, here)
    return text
