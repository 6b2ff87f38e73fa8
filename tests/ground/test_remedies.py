"""What to do next is stated once, by intent: the command line words it as a command, HTTP as a request, and neither as
the other's.
"""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from zentra_pipeline import remedies
from zentra_pipeline.cli.group import COMMANDS, zentra
from zentra_pipeline.remedies import FORMS, Remedy

ROOT = Path(remedies.__file__).parent
# Modules that only the command line, the sealing side's own machine or an installed client reads.
_OF_A_TERMINAL = re.compile(
    r"(cli|upkeep|simulation|client|scenarios)/|(remedies|worker)\.py|keys/signing_keys\.py|closeout/verify\.py"
    r"|queries/query_request\.py|reconcile/dbt_project\.py|tenants/(access|tenancy)\.py|store/(place|models)\.py"
    r"|api/__main__\.py|webhooks/targets\.py"
)
_COMMAND = re.compile(rf"\bzentra ({'|'.join(COMMANDS)})\b|(?:^|\s)--[a-z][a-z-]+")


@pytest.mark.parametrize("intent", FORMS)
def test_a_command_has_every_option_it_needs(intent: str, tmp_path: Path) -> None:
    """Once `exceptions resolve` was advised without --tenant and --reason, later without --actor."""
    file = tmp_path / "file.csv"
    file.touch()
    known = {"exception_id": "exc_1", "run_id": "run_1", "ledger_window": "2026-04-26", "provider": "rail"}
    known |= {"period": "2026-04"}
    known |= {"bank_account": "DE02120300000000202051"}
    known |= {"settlement_file": "set_1", "file": str(file), "owner": "finance ops"}
    words = shlex.split(remedies.command(Remedy("do it", intent, known), "acme", "data/my home"))
    assert (words[0], words[-2:]) == ("zentra", ["--home", "data/my home"])
    found: click.Command = zentra
    arguments = words[1:]
    while isinstance(found, click.Group):
        command = found.get_command(click.Context(found), arguments[0])
        assert command is not None, arguments
        found, arguments = command, arguments[1:]
    found.make_context("zentra", list(arguments))  # refuses a missing option, and one that is not there
    if intent != "run_window" and any("--actor" in option.opts for option in found.params):
        assert "--actor" in arguments, "a decision by a pasted command would be recorded as made by `cli`"


@pytest.mark.parametrize("intent", FORMS)
def test_a_request_is_one_of_a_described_route(intent: str) -> None:
    paths = json.loads((ROOT.parent / "docs" / "openapi.json").read_text(encoding="utf-8"))["paths"]
    described = {
        (method.upper(), path): operation for path, item in paths.items() for method, operation in item.items()
    }
    form = FORMS[intent]
    matching = [
        operation
        for (method, path), operation in described.items()
        if method == form.method and re.fullmatch(re.sub(r"\{\w+\}", r"[^/]+", path), form.path)
    ]
    (operation,) = [described.get((form.method, form.path)) or matching[0]]
    if form.body is not None:
        reference = operation["requestBody"]["content"]["application/json"]["schema"]
        assert reference, intent
    request = remedies.request(Remedy("do it", intent, {"run_id": "run_1"}))
    assert "{" not in json.dumps(request["path"])
    assert request["method"] == form.method


def test_what_nobody_knows_is_left_to_be_filled_in() -> None:
    remedy = Remedy("resolve it", "resolve_exception", {"exception_id": "exc_1"})
    assert remedies.command(remedy) == (
        "zentra exceptions resolve exc_1 --tenant TENANT --actor ACTOR --resolution RESOLUTION --reason REASON"
    )
    assert remedies.request(remedy) == {
        "method": "POST",
        "path": "/reconciliation/exceptions/exc_1/decisions",
        "body": {"action": "resolve", "resolution": "<resolution>", "reason": "<reason>"},
    }


def _texts(tree: ast.Module) -> Iterator[str]:
    """Every text of a module but for docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_no_message_that_http_or_dagster_may_show_names_a_command() -> None:
    """Once a blocker in an API body said `zentra exceptions approve …`, and a 422 advised `zentra events`."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if _OF_A_TERMINAL.match(name):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [f"{name}: {text}" for text in _texts(tree) if _COMMAND.search(text)]
    assert found == []
