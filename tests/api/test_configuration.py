"""A file that configures a tenant and cannot be what it says is reported: nothing in the request is at fault."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import PROVIDER, Api
from zentra_pipeline import cli

PROFILE = f"providers/{PROVIDER}.yml"
RUN = {"provider": PROVIDER, "settlement_file": "set_2026_04_20", "ledger_window": "2026-04-20", "owner": "o"}
INTENT = {
    "intent_id": "int_configured",
    "actor": "admin_acme",
    "scope": "payments:transfer",
    "provider": PROVIDER,
    "amount_minor": 100,
    "currency": "USD",
}
COMMENT = {"action": "comment", "reason": "seen"}
# What cannot be answered without which file; {exception} and {run} are acme's.
NEEDS: list[tuple[str, str, str, Any]] = [
    ("policy.yml", "POST", "/reconciliation/exceptions/{exception}/decisions", COMMENT),
    (
        "policy.yml",
        "POST",
        "/reconciliation/exceptions/decisions",
        "exception_id,action,reason\n{exception},comment,x\n",
    ),
    ("policy.yml", "POST", "/runtime/intents", INTENT),
    ("routing.yml", "POST", "/reconciliation/runs", RUN),
    ("calendar.yml", "POST", "/reconciliation/runs", RUN),
    ("calendar.yml", "GET", "/reconciliation/exceptions", None),
    (PROFILE, "POST", "/reconciliation/runs", RUN),
    (PROFILE, "POST", "/reconciliation/runs/{run}/closeout", {"action": "prepare"}),
    (PROFILE, "GET", "/reconciliation/exceptions", None),
    (PROFILE, "GET", "/reconciliation/exceptions.csv", None),
    (PROFILE, "GET", "/reconciliation/exceptions/{exception}", None),
    (PROFILE, "GET", "/reconciliation/runs/{run}/exceptions", None),
    (PROFILE, "POST", "/files/" + PROVIDER + "/settlement", "line_id\n"),
    (PROFILE, "POST", "/callbacks/" + PROVIDER, {}),
    (PROFILE, "POST", "/runtime/intents", INTENT),
]


@pytest.mark.parametrize("content", [b"nonsense: 1\n", b"a: [\n"], ids=["unknown key", "no YAML"])
@pytest.mark.parametrize(("name", "method", "path", "body"), NEEDS, ids=lambda value: str(value)[:60])
def test_a_broken_file_is_no_fault_of_the_request(
    api: Api, name: str, method: str, path: str, body: Any, content: bytes
) -> None:
    """It was 422 invalid: whoever asked looked for what was wrong with what they had sent."""
    admin = api.as_("admin")
    ids = {
        "exception": admin.items("/reconciliation/exceptions", status="open")[0]["exception_id"],
        "run": admin.items("/reconciliation/runs")[0]["id"],
    }
    file = api.books.paths("acme").root / name
    before = file.read_bytes() if file.exists() else None
    file.write_bytes(content)
    try:
        place = path.format(**ids)
        if method == "GET":
            answer = admin.get(place)
        elif isinstance(body, str):
            named: dict[str, Any] = {"name": "set.csv"} if place.startswith("/files/") else {}
            answer = admin.post(place, content=body.format(**ids).encode(), media_type="text/csv", **named)
        else:
            answer = admin.post(place, body)
    finally:
        file.unlink()
        if before is not None:
            file.write_bytes(before)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/not-configured"), answer.text
    assert answer.json()["detail"].startswith(f"{file.name}: ")
    assert str(api.books.home.root) not in answer.text


def test_on_the_command_line_it_is_misuse_as_before(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    file: Path = api.books.paths("globex").policy
    file.write_text("nonsense: 1\n", encoding="utf-8")
    exception_id = api.as_("admin", "globex").items("/reconciliation/exceptions")[0]["exception_id"]
    place = ("--tenant", "globex", "--home", str(api.books.home.root))
    sheet = api.books.home.root.parent / "sheet.csv"
    sheet.write_text(f"exception_id,action,reason\n{exception_id},comment,x\n", encoding="utf-8")
    try:
        assert cli.invoke(["exceptions", "comment", exception_id, *place, "--reason", "x"]) == 2
        assert cli.invoke(["exceptions", "decide", str(sheet), *place]) == 2
    finally:
        file.unlink()
    assert capsys.readouterr().err.count("Error: policy.yml: unknown key 'nonsense'") == 2
