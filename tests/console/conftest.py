"""A home whose tenants have runs to review, and visitors of every role; tests add decisions and take nothing away."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.api.conftest import STORIES, Books, make_books, run_story
from tests.console.visitor import Visitor
from zentra_pipeline.console.app import create_app
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.reconcile.window_run import run_window
from zentra_pipeline.tenants.tenant import Tenant

NOW = datetime(2026, 5, 1, tzinfo=UTC)
# References as an attacker would write them; the first is a whole page of script.
HOSTILE = (
    "<script>alert(document.cookie)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "javascript:alert(1)//",
    "{{ 7 * 7 }}{% raw %}",
    "=HYPERLINK(0)",
    "../../etc/passwd?a=b&c=d#e",
    "long-" + "x" * 4_000,
    "\u202eright to left",
)
LINES = 40
# Posted under another reference: as much as line_027.
LEDGER = """\
entry_id,transaction_id,movement_type,account,direction,amount_minor,currency,posted_at,provider,provider_reference,intent_id
ent_1,txn_27,payment,customer,debit,1027,EUR,2026-04-21T09:00:00Z,many,our_27,
ent_2,txn_27,payment,settlement_account,credit,1027,EUR,2026-04-21T09:00:00Z,many,our_27,
"""
POLICY = """\
second_person: [written_off, provider_error_confirmed]
limits: {approver: {EUR: 1035, "*": 100000}}
"""
_HEADER = (
    "line_id,line_type,provider_reference,merchant_reference,gross_minor,fee_minor,net_minor,"
    "currency,settled_at,batch_id"
)


@pytest.fixture(scope="session")
def books(tmp_path_factory: pytest.TempPathFactory) -> Books:
    """acme's bad day and a provider of 40 lines nobody posted, hostile references among them; globex's one line."""
    made = make_books(tmp_path_factory.mktemp("console"))
    made.paths("acme").policy.write_text(POLICY, encoding="utf-8")
    for tenant in STORIES:
        run_story(Tenant.of(made.home, tenant))
    _run_many(Tenant.of(made.home, "acme"), tmp_path_factory.mktemp("lines"))
    return made


def _run_many(tenant: Tenant, folder: Path) -> None:
    (tenant.paths.providers / "many.yml").write_text("expects_callbacks: false\n", encoding="utf-8")
    quoted = ['"' + reference.replace('"', '""') + '"' for reference in HOSTILE]
    references = quoted + [f"ref_{number:03}" for number in range(LINES - len(quoted))]
    lines = [
        f"line_{number:03},payment,{reference},,{1_000 + number},0,{1_000 + number},EUR,2026-04-21T10:00:00Z,"
        for number, reference in enumerate(references)
    ]
    file = folder / "set_many.csv"
    file.write_text("\n".join([_HEADER, *lines]) + "\n", encoding="utf-8")
    ingest_files(
        tenant, provider="many", kind="settlement", files=[file], file_id="set_many", format="canonical", now=NOW
    )
    posted = folder / "ledger_many.csv"
    posted.write_text(LEDGER, encoding="utf-8")
    ingest_files(tenant, provider="many", kind="ledger", files=[posted], file_id=None, format="canonical", now=NOW)
    run_window(tenant, RunRequest("many", "set_many", date(2026, 4, 21), "finance_ops", as_of=NOW, actor="ops"))


@pytest.fixture(scope="session")
def visit(books: Books) -> Iterator[Callable[..., Visitor]]:
    """Somebody of a role at a tenant who has signed in; with no role, somebody who has not."""
    app = create_app(books.home)

    def as_(role: str | None = None, tenant: str = "acme") -> Visitor:
        visitor = Visitor(app)
        if role is not None:
            assert visitor.sign_in(books.tokens[tenant, role]).status == 200
        return visitor

    yield as_
    app.state.service.intake.close()
    app.state.service.audit.close()
