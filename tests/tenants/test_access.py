"""A token is shown once, says for whom it acts and nothing else, and ends when it says so or is revoked."""

import hashlib
import re
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, select

from zentra_pipeline import vocabulary
from zentra_pipeline.decisions.policy import ROLE_ACTIONS
from zentra_pipeline.errors import UsageError
from zentra_pipeline.settings import Home
from zentra_pipeline.store import control, tokens
from zentra_pipeline.store.engine import control_store, kept_connections, reading
from zentra_pipeline.tenants import access, tenancy
from zentra_pipeline.tenants.access import Identity

pytestmark = pytest.mark.on_postgresql

NOW = datetime(2026, 4, 27, 6, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def home(tmp_path: Path, database: str) -> Home:
    home = Home.at(tmp_path / "home")
    tenancy.init_home(home)
    for tenant in ("acme", "zeta"):
        tenancy.add_tenant(home, tenant, NOW)
    return home


def create(
    home: Home, tenant: str = "acme", actor: str = "ann", role: str = "operator", expires_in: timedelta | None = None
) -> tuple[str, str]:
    """The token and its id."""
    bearer, token = access.create_token(
        home, tenant=tenant, actor=actor, role=role, now=NOW, expires_in=expires_in, name="a test"
    )
    return bearer, token.token_id


def test_a_token_says_tenant_actor_and_role(home: Home) -> None:
    made = {
        (tenant, actor, role): create(home, tenant, actor, role)
        for tenant, actor, role in (
            ("acme", "ann", "operator"),
            ("acme", "ann", "approver"),
            ("acme", "Bob Ä", "admin"),
            ("zeta", "ann", "analyst"),
        )
    }
    for (tenant, actor, role), (bearer, token_id) in made.items():
        assert access.authenticate(home, bearer, NOW) == Identity(tenant, actor, role, token_id)


def test_a_token_is_256_random_bits_of_which_only_the_digest_is_kept(home: Home) -> None:
    made = [create(home)[0] for _ in range(3)]
    assert len(set(made)) == 3
    assert all(re.fullmatch(r"zt_[A-Za-z0-9_-]{43}", bearer) for bearer in made)
    with reading(control_store(home)) as connection:
        rows = connection.execute(select(control.tokens)).all()
    assert {row.token_digest for row in rows} == {hashlib.sha256(bearer.encode()).hexdigest() for bearer in made}
    kept = repr(rows).encode() + b"".join(path.read_bytes() for path in home.root.rglob("*") if path.is_file())
    assert not [bearer for bearer in made if bearer.encode() in kept or bearer[3:].encode() in kept]


def test_what_is_no_token_of_this_home_is_nobody(home: Home, tmp_path: Path) -> None:
    bearer, token_id = create(home)
    other = Home.at(tmp_path / "other")
    tenancy.init_home(other)
    tenancy.add_tenant(other, "acme", NOW)
    assert access.authenticate(other, bearer, NOW) is None
    changed = bearer[:-1] + ("A" if bearer[-1] != "A" else "B")
    digest = hashlib.sha256(bearer.encode()).hexdigest()
    near = (changed, bearer[:-1], bearer + "A", bearer + "\n", " " + bearer, bearer.upper(), bearer[3:])
    far = ("", "zt_", token_id, digest, "zt_" + "é" * 43, "zt_" + "A" * 10_000, "' or 1=1 --", "\udcff", "\x00")
    for wrong in (*near, *far):
        assert access.authenticate(home, wrong, NOW) is None


def test_a_token_expires_at_its_instant(home: Home) -> None:
    bearer, _ = create(home, expires_in=DAY)
    assert access.authenticate(home, bearer, NOW + DAY - timedelta(microseconds=1)) is not None
    assert access.authenticate(home, bearer, NOW + DAY) is None


def test_a_token_is_judged_by_the_present_when_no_instant_is_given(home: Home) -> None:
    bearer, token = access.create_token(
        home, tenant="acme", actor="ann", role="operator", now=datetime.now(UTC), expires_in=DAY
    )
    assert access.authenticate(home, bearer) == Identity("acme", "ann", "operator", token.token_id)
    bearer, _ = access.create_token(
        home, tenant="acme", actor="ann", role="operator", now=datetime.now(UTC) - 2 * DAY, expires_in=DAY
    )
    assert access.authenticate(home, bearer) is None


def test_a_revoked_token_ends_at_once_also_for_a_server(home: Home) -> None:
    bearer, token_id = create(home)
    kept, _ = create(home)
    with kept_connections():
        assert access.authenticate(home, bearer, NOW) is not None
        assert access.revoke_token(home, token_id, NOW).revoked_at == "2026-04-27T06:00:00.000000Z"
        assert access.authenticate(home, bearer, NOW) is None
        assert access.authenticate(home, kept, NOW) is not None


def test_revoking_again_keeps_the_first_instant(home: Home) -> None:
    _, token_id = create(home)
    first = access.revoke_token(home, token_id, NOW)
    assert access.revoke_token(home, token_id, NOW + DAY) == first


def test_revoking_what_is_not_there_is_refused(home: Home) -> None:
    with pytest.raises(UsageError, match="there is no token tok_none: `zentra token list`"):
        access.revoke_token(home, "tok_none", NOW)


def test_tokens_are_listed_by_tenant_without_what_they_are(home: Home) -> None:
    created = [create(home, tenant) for tenant in ("acme", "zeta", "acme")]
    assert {token.token_id for token in access.listed(home)} == {token_id for _, token_id in created}
    assert [token.tenant_id for token in access.listed(home, "acme")] == ["acme", "acme"]
    assert not [bearer for bearer, _ in created if bearer in repr(access.listed(home))]


@pytest.mark.parametrize("other", ["ANN", "ann ", "ａｎｎ", " Ann"])
def test_another_spelling_does_not_make_another_person(home: Home, other: str) -> None:
    create(home)
    with pytest.raises(UsageError, match="is known as 'ann': write the name as it was first written"):
        create(home, actor=other, role="approver")
    assert access.authenticate(home, create(home, tenant="zeta", actor=other)[0], NOW) is not None


def test_an_unknown_role_or_tenant_makes_no_token(home: Home) -> None:
    with pytest.raises(UsageError, match="role 'root' is not one of service, operator, approver, analyst, admin"):
        create(home, role="root")
    with pytest.raises(UsageError, match="there is no tenant 'nobody'"):
        create(home, tenant="nobody")
    assert access.listed(home) == []


def test_a_stored_token_has_every_column_of_its_table_in_order() -> None:
    assert [field.name for field in fields(tokens.StoredToken)] == [column.name for column in control.tokens.columns]


def test_roles_of_tokens_are_those_of_the_review_policy() -> None:
    assert vocabulary.values("role") == tuple(ROLE_ACTIONS)


def test_a_server_asks_the_store_once_a_request_and_opens_nothing(home: Home) -> None:
    bearer, _ = create(home)
    with kept_connections():
        store = control_store(home)
        access.authenticate(home, bearer, NOW)
        asked: list[str] = []
        opened: list[int] = []
        event.listen(store, "before_cursor_execute", lambda *context: asked.append(context[2]))
        event.listen(store, "connect", lambda *_: opened.append(1))
        for _ in range(10):
            assert access.authenticate(home, bearer, NOW) is not None
    assert len([text for text in asked if "FROM tokens" in text]) == 10
    assert len(asked) <= 30
    assert opened == []
