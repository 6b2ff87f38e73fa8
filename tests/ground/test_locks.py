"""Two locks: what runs, and what developers have beside it; the list of parts is made without a network."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    return dict(_PIN.findall((ROOT / name).read_text(encoding="utf-8")))


def test_developers_have_what_runs_in_the_same_versions_and_what_runs_has_no_tool() -> None:
    runs, has = pins("requirements.lock"), pins("requirements-dev.lock")
    assert runs.items() <= has.items()
    assert not {"pytest", "mypy", "ruff", "hypothesis", "playwright", "pip-audit", "cyclonedx-bom"} & runs.keys()
    assert not {"moto", "flask"} & runs.keys()
    assert {"python-pkcs11", "opentelemetry-sdk", "s3fs"} <= runs.keys(), "extras, for whoever configures them"


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_pin_has_a_hash_and_no_index_is_named(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    parts = re.split(r"^(?=[A-Za-z0-9._-]+(?:\[[a-z,]+\])?==)", text, flags=re.MULTILINE)[1:]
    assert len(parts) == len(pins(name))
    assert all("--hash=sha256:" in part for part in parts)
    assert "://" not in text


@pytest.mark.ci
def test_the_list_of_parts_is_what_runs_and_the_same_each_time() -> None:
    made = []
    for _ in range(2):
        (ROOT / "build" / "sbom.json").unlink(missing_ok=True)
        subprocess.run(["make", "-C", str(ROOT), "--old-file=.venv/.ready", "sbom"], capture_output=True, check=True)
        made.append((ROOT / "build" / "sbom.json").read_bytes())
    assert made[0] == made[1]
    content = json.loads(made[0])
    assert (content["bomFormat"], content["specVersion"]) == ("CycloneDX", "1.6")
    assert content["metadata"]["component"]["name"] == "zentra"
    assert {each["name"]: each["version"] for each in content["components"]} == pins("requirements.lock")
