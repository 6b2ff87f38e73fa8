"""The audit log's chain: what is changed, taken out, put between or cut is found; with a head, one made anew."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, insert, update

from zentra_pipeline.settings import Home
from zentra_pipeline.store import audit, decisions
from zentra_pipeline.store.audit import Entry
from zentra_pipeline.store.decisions import Decision
from zentra_pipeline.store.models import audit_log
from zentra_pipeline.store.models import decisions as log_of_decisions
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

pytestmark = pytest.mark.on_postgresql
NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def tenant(tmp_path: Path) -> Tenant:
    home = Home.at(tmp_path / "home")
    tenancy.init_home(home)
    return tenancy.add_tenant(home, "acme", NOW)


def _decided(number: int) -> Decision:
    return Decision(
        sequence=number,
        decision_id=f"dec_{number}",
        exception_id=None,
        run_id="run_1",
        action="comment",
        actor="ana",
        decided_at=f"2026-05-01T00:00:0{number}.000000Z",
        reason="seen",
        policy={},
        result="open",
        owner=None,
        resolution=None,
        details={"origin": {"via": "token", "token_id": "tok_1"}},
    )


def filled(tenant: Tenant) -> audit.Checked:
    with tenant.writing() as connection:
        audit.append(connection, [Entry("2026-05-01T00:00:00Z", "read", "http", f"GET /{n}", "ana") for n in range(3)])
        decisions.append(connection, _decided(1))
    with tenant.reading() as connection:
        return audit.check(connection)


def test_a_chain_holds_and_cites_decisions_with_how_their_actor_came(tenant: Tenant) -> None:
    checked = filled(tenant)
    assert (checked.entries, checked.problems) == (5, ())
    with tenant.reading() as connection:
        first, *_, cited = audit.listed(connection, after=0)
    assert (first.entry.kind, first.entry.details["decisions"]) == ("begin", 0)
    assert (cited.entry.kind, cited.entry.decision_id, cited.entry.token_id) == ("decision", "dec_1", "tok_1")


def _forged(connection: Connection) -> None:
    """One more entry at the end, by whoever does not know how entries are digested."""
    connection.execute(
        insert(audit_log).values(
            sequence=6, at="x", kind="read", via="http", what="GET /", details="{}", digest="0" * 64
        )
    )


TAMPERINGS: dict[str, tuple[Callable[[Connection], object], str]] = {
    "changed": (
        lambda c: c.execute(update(audit_log).where(audit_log.c.sequence == 3).values(actor="bob")),
        "not what was recorded",
    ),
    "taken out": (lambda c: c.execute(delete(audit_log).where(audit_log.c.sequence == 3)), "place 3 is missing"),
    "beginning taken out": (
        lambda c: c.execute(delete(audit_log).where(audit_log.c.sequence == 1)),
        "place 1 is missing",
    ),
    "emptied": (lambda c: c.execute(delete(audit_log)), "the log is empty"),
    "put in": (_forged, "not what was recorded"),
    "citation cut off": (lambda c: c.execute(delete(audit_log).where(audit_log.c.sequence == 5)), "cited by no entry"),
    "decision changed": (
        lambda c: c.execute(update(log_of_decisions).values(reason="other", row_digest="1" * 64)),
        "is not what it was",
    ),
    "decision gone": (lambda c: c.execute(delete(log_of_decisions)), "is cited and is not there"),
    "decision put in": (
        lambda c: c.execute(insert(log_of_decisions).values({**vars(_decided(2)), "policy": "{}", "details": "{}"})),
        "cited by no entry",
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_found(tenant: Tenant, name: str) -> None:
    tamper, expected = TAMPERINGS[name]
    filled(tenant)
    with tenant.writing() as connection:
        tamper(connection)
    with tenant.reading() as connection:
        problems = audit.check(connection).problems
    assert any(expected in what for _, what in problems), problems


def test_reads_cut_off_at_the_end_and_a_chain_made_anew_are_seen_by_a_head_that_was_kept(tenant: Tenant) -> None:
    with tenant.writing() as connection:
        audit.append(connection, [Entry("2026-05-01T00:00:00Z", "read", "http", f"GET /{n}", "ana") for n in range(3)])
    with tenant.reading() as connection:
        kept = audit.check(connection)
        assert audit.check(connection, (kept.entries, kept.head)).problems == ()
    with tenant.writing() as connection:
        connection.execute(delete(audit_log).where(audit_log.c.sequence == 4))
    with tenant.reading() as connection:
        assert audit.check(connection).problems == ()
        assert "nothing is there" in audit.check(connection, (kept.entries, kept.head)).problems[0][1]
    with tenant.writing() as connection:
        audit.append(connection, [Entry("2026-05-01T00:00:00Z", "read", "http", "GET /other", "ana")])
    with tenant.reading() as connection:
        assert "made anew or cut" in audit.check(connection, (kept.entries, kept.head)).problems[0][1]


def test_what_is_too_long_to_keep_can_still_be_proved(tenant: Tenant) -> None:
    """A long comment before a query hid what it read."""
    padding = f"/*{'x' * 2_000}*/ "
    one, other = (audit.kept_text(f"{padding}select {name} from matches") for name in ("amount", "currency"))
    assert one != other
    assert len(one) < 2_200
    whole = hashlib.sha256(f"{padding}select amount from matches".encode()).hexdigest()
    assert one.endswith(f"… (2031 characters, SHA-256 {whole})")
