"""Homes and tenants from the command line."""

from pathlib import Path

from tests.cli.conftest import Zentra


def test_a_home_and_a_tenant_are_made_once(zentra: Zentra, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    assert zentra("init", "--json").json == {"home": home, "is_new": True}
    assert zentra("init", "--json").json == {"home": home, "is_new": False}
    assert zentra("tenant", "list", "--json").json == {"items": []}
    added = {"tenant": "acme", "folder": f"{home}/tenants/acme"}
    assert zentra("tenant", "add", "acme", "--json").json == added | {"is_new": True}
    assert zentra("tenant", "add", "acme", "--json").json == added | {"is_new": False}
    assert zentra("tenant", "list", "--json").json == {"items": ["acme"]}


def test_a_home_where_no_folder_can_be_is_refused(zentra: Zentra, tmp_path: Path) -> None:
    """It was a fault of the program."""
    taken = tmp_path / "taken"
    taken.write_text("a file")
    for place in (taken, taken / "home"):
        refused = zentra("init", "--home", place)
        assert refused.code == 2
        assert "cannot be made a folder" in refused.err
    assert taken.read_text() == "a file"


def test_the_next_step_is_printed(zentra: Zentra, tmp_path: Path) -> None:
    made = zentra("init")
    assert (made.out, made.err) == (f"Made {tmp_path}/home\n", "Next: zentra tenant add TENANT\n")
    assert "No tenant yet" in zentra("tenant", "list").err
    assert zentra("tenant", "add", "acme").out == f"Added tenant acme in {tmp_path}/home/tenants/acme\n"
    assert zentra("tenant", "add", "acme").out.startswith("Already there: tenant acme")
    assert zentra("tenant", "list").out == "acme\n"


def test_home_on_the_command_line_comes_before_the_environment(zentra: Zentra, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert zentra("init", "--home", other, "--json").json == {"home": str(other), "is_new": True}
    assert not (tmp_path / "home").exists()
