"""Tokens from the command line: shown once, listed without what they are, revoked by id."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.cli.conftest import Zentra
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import access

CREATE = ("token", "create", "--tenant", "acme", "--actor", "ann", "--role", "operator")


def test_a_token_is_made_listed_and_revoked(acme: Zentra, tmp_path: Path) -> None:
    home = Home.at(tmp_path / "home")
    made = acme(*CREATE, "--name", "nightly", "--json").json
    identity = access.authenticate(home, made["token"])
    assert identity == access.Identity("acme", "ann", "operator", made["token_id"])
    (listed,) = acme("token", "list", "--tenant", "acme", "--json").json["items"]
    assert listed == {key: value for key, value in made.items() if key != "token"} | {"is_in_force": True}
    assert listed["name"] == "nightly"
    assert acme("token", "revoke", made["token_id"], "--json").json["revoked_at"]
    assert access.authenticate(home, made["token"]) is None
    assert acme("token", "list", "--json").json["items"][0]["is_in_force"] is False


def test_days_count_from_now(acme: Zentra) -> None:
    before = datetime.now(UTC)
    expires_at = datetime.fromisoformat(acme(*CREATE, "--expires-days", 30, "--json").json["expires_at"])
    assert before + timedelta(days=30) <= expires_at <= datetime.now(UTC) + timedelta(days=30)
    assert acme(*CREATE, "--json").json["expires_at"] is None


def test_the_token_alone_is_printed_on_stdout_and_never_again(acme: Zentra) -> None:
    assert "No token yet: zentra token create" in acme("token", "list").err
    made = acme(*CREATE)
    bearer = made.out.strip()
    assert made.out == f"{bearer}\n"
    assert bearer.startswith("zt_")
    assert "it is not shown again" in made.err
    assert bearer not in made.err
    listed = acme("token", "list")
    assert "in force" in listed.out
    assert bearer not in listed.out
    token_id = next(word for word in listed.out.split() if word.startswith("tok_"))
    assert acme("token", "revoke", token_id).out == f"Revoked token {token_id} of ann, operator of acme\n"
    assert "revoked" in acme("token", "list").out


def test_mistakes_are_reported_and_make_nothing(acme: Zentra, tmp_path: Path) -> None:
    for arguments, said in (
        (("token", "create", "--tenant", "acme", "--actor", "ann", "--role", "root"), "use one of service, operator"),
        (("token", "create", "--tenant", "nobody", "--actor", "ann", "--role", "admin"), "there is no tenant 'nobody'"),
        (("token", "create", "--tenant", "acme", "--actor", " ", "--role", "admin"), "name ' ' is not allowed"),
        ((*CREATE, "--expires-days", 0), "0 is not in the range"),
        (("token", "revoke", "tok_0"), "there is no token tok_0"),
        (("token", "revoke", "../x"), "is not allowed"),
        (("token", "list", "--home", tmp_path / "nowhere"), "is not a Zentra home"),
    ):
        done = acme(*arguments)
        assert done.code == 2
        assert said in done.err
    assert acme("token", "list", "--json").json == {"items": []}
