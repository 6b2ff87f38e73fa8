"""Every command about a tenant is in its audit log, which `zentra audit` lists and checks."""

import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.cli.conftest import Zentra
from zentra_pipeline.cli import options
from zentra_pipeline.cli.group import zentra as group
from zentra_pipeline.settings import Home
from zentra_pipeline.store.models import audit_log
from zentra_pipeline.tenants.tenant import Tenant

# They take a tenant where they look at more than one, and show nothing of what one holds.
OF_SEVERAL = {"doctor", "reperform", "token list"}


def commands(command: click.Command = group, name: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None
            yield from commands(found, (*name, each))
    else:
        yield " ".join(name), command


def test_every_command_about_a_tenant_is_recorded_before_it_begins() -> None:
    """The outermost function that `--tenant` is given to is the one that records; `query` does so itself."""
    about = {name: each for name, each in commands() if any("--tenant" in option.opts for option in each.params)}
    recording = options.tenant_name(lambda **_: None).__code__
    unrecorded = set()
    for name, command in about.items():
        layer = command.callback
        codes = []
        while layer is not None:
            codes.append(layer.__code__)
            layer = getattr(layer, "__wrapped__", None)
        if recording not in codes and "audited.record" not in inspect.getsource(inspect.unwrap(command.callback)):
            unrecorded.add(name)
    assert unrecorded == OF_SEVERAL
    assert len(about) > 40


def test_the_log_lists_commands_and_shows_what_was_changed(zentra: Zentra, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    for arguments in (["init"], ["tenant", "add", "acme"]):
        assert zentra(*arguments, "--home", home).code == 0
    at = ("--tenant", "acme", "--home", home)
    assert zentra("runs", "list", *at).code == 0
    assert zentra("query", "select count(*) from runs", *at, "--format", "csv").code == 0
    listed = json.loads(zentra("audit", "list", *at, "--kind", "command", "--json").out)["items"]
    assert [(each["what"], each["details"].get("sql")) for each in listed] == [
        ("zentra runs list", None),
        ("zentra query", "select count(*) from runs"),
        ("zentra audit list", None),
    ]
    assert all(each["os_user"] and each["via"] == "command_line" for each in listed)
    checked = json.loads(zentra("audit", "verify", *at, "--json").out)
    assert (checked["holds"], checked["entries"]) == (True, 5)
    kept = zentra("audit", "verify", *at, "--head", checked["head"])
    assert (kept.code, "holds: 6 entries" in kept.out) == (0, True)
    with Tenant.of(Home.at(home), "acme").writing() as connection:
        connection.execute(audit_log.update().where(audit_log.c.sequence == 3).values(details="{}"))
    broken = zentra("audit", "verify", *at)
    assert (broken.code, "place 3: it is not what was recorded" in broken.out) == (5, True)
    found = zentra("doctor", *at, "--json")
    findings = json.loads(found.out)["diagnoses"][1]["findings"]
    assert (found.code, [(each["check"], each["subject"]) for each in findings]) == (5, [("audit", "place 3")])


def test_what_hands_out_or_brings_back_all_tenants_is_in_the_log_of_each(zentra: Zentra, tmp_path: Path) -> None:
    """A copy of everything could be taken without a trace."""
    home, again, archive = str(tmp_path / "home"), str(tmp_path / "restored"), str(tmp_path / "b.tar")
    zentra("init")
    for name in ("acme", "other"):
        zentra("tenant", "add", name)
    for arguments in (["backup", archive], ["restore", archive, "--home", again]):
        assert zentra(*arguments).code == 0
    taken, back = ((f"zentra {what}", {"file": archive}) for what in ("backup", "restore"))
    for name in ("acme", "other"):
        for place, expected in ((home, [taken]), (again, [taken, back])):
            at = ("--tenant", name, "--home", place)
            listed = zentra("audit", "list", *at, "--kind", "command", "--json").json["items"]
            assert [(each["what"], each["details"]) for each in listed[:-1]] == expected
            assert all(each["os_user"] for each in listed)
            assert zentra("audit", "verify", *at).code == 0


@pytest.mark.parametrize("head", ["x", "0:" + "a" * 64, "1:" + "A" * 64, ""])
def test_a_head_of_another_form_is_a_usage_error(zentra: Zentra, tmp_path: Path, head: str) -> None:
    assert zentra("audit", "verify", "--tenant", "acme", "--head", head, "--home", str(tmp_path)).code == 2
