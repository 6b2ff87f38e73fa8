"""Signing in, and approving in the browser: who one is, what one sees before one approves, what is refused."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.api.conftest import NOW, Books
from tests.console.visitor import Visitor
from zentra_pipeline.console.app import PAGES
from zentra_pipeline.desk import deciding
from zentra_pipeline.published import lake
from zentra_pipeline.review.record import DecisionRequest
from zentra_pipeline.tenants import access

Visit = Callable[..., Visitor]


def rows(books: Books, sql: str, tenant: str = "acme") -> list[dict[str, Any]]:
    found = lake.query(books.paths(tenant), sql)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def propose(
    books: Books,
    exception_id: str,
    *,
    actor: str = "operator_acme",
    reason: str = "too small to chase",
    resolution: str = "written_off",
) -> None:
    request = DecisionRequest(exception_id, "resolve", actor, reason=reason, resolution=resolution, role="operator")
    deciding.decide(books.tenant("acme"), request, NOW)


def of_many(books: Books, number: int) -> str:
    (row,) = rows(books, f"select exception_id from exceptions where subject_id = 'line_{number:03}'")
    return str(row["exception_id"])


def test_nobody_sees_a_page_without_a_token(visit: Visit, books: Books) -> None:
    nobody = visit()
    for path in ("/console/approvals", "/console/exceptions?owner=x", "/", "/console"):
        assert nobody.open(path).path.startswith("/console/sign-in")
    assert nobody.open("/console/sign-in").press("Sign in", token="zt_" + "x" * 43).status == 401
    assert nobody.send("/console/approvals", {"action": "approve"}).status == 401
    answer = nobody.open("/console/exceptions?owner=x").press("Sign in", token=books.tokens["acme", "analyst"])
    assert answer.path == "/console/exceptions?owner=x"
    part = visit().client.get("/console/exceptions?owner=x", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["hx-redirect"]) == (
        204,
        "/console/sign-in?next=%2Fconsole%2Fexceptions%3Fowner%3Dx",
    )


def test_the_session_is_a_cookie_that_no_script_reads_and_every_answer_forbids_scripts_in_the_page(
    visit: Visit, books: Books
) -> None:
    visitor = visit()
    page = visitor.open("/console/sign-in")
    word = page.tree.xpath("//input[@name='csrf']/@value")[0]
    fields = {"csrf": word, "token": books.tokens["acme", "operator"], "next": "/console/approvals"}
    answer = visitor.client.post("/console/sign-in", data=fields, follow_redirects=False)
    cookie = answer.headers["set-cookie"]
    assert re.search(r"zentra_session=[\w-]{43}; HttpOnly; Max-Age=43200; Path=/console; SameSite=lax", cookie)
    for path in ("/console/approvals", "/console/sign-in", "/console/nothing", "/console/static/console.css"):
        headers = visitor.open(path).answer.headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
    assert visitor.open("/console/approvals").answer.headers["cache-control"] == "no-store"
    assert re.search(r"<style|<script(?! src)|\sstyle=|\son\w+=", page.answer.text) is None


def test_over_https_the_cookie_goes_over_https_alone(books: Books, visit: Visit) -> None:
    visitor = visit()
    visitor.client.get("https://zentra/console/sign-in")
    cookies = list(visitor.client.cookies.jar)
    assert [(cookie.name, cookie.secure) for cookie in cookies] == [("zentra_sign_in", True)]


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "/console/../../evil",
        "/\\evil.example",
        "/console\\@evil",
        "/other",
        "javascript:x",
    ],
)
def test_signing_in_goes_on_to_a_page_of_the_console_alone(visit: Visit, books: Books, wanted: str) -> None:
    visitor = visit()
    page = visitor.open("/console/sign-in")
    word = page.tree.xpath("//input[@name='csrf']/@value")[0]
    fields = {"csrf": word, "token": books.tokens["acme", "operator"], "next": wanted}
    answer = visitor.client.post("/console/sign-in", data=fields, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/")
    assert ".." not in answer.headers["location"]


def test_signing_out_a_forged_cookie_and_a_revoked_token_end_the_session(visit: Visit, books: Books) -> None:
    bearer, token = access.create_token(books.home, tenant="acme", actor="dora", role="approver", now=NOW)
    visitor, other = visit(), visit()
    for each in (visitor, other):
        each.sign_in(bearer)
    secret = visitor.client.cookies["zentra_session"]
    visitor.open("/console/approvals").press("Sign out")
    assert visitor.open("/console/approvals").path.startswith("/console/sign-in")
    for forged in (secret, secret[:-1] + "x", "tok_1", bearer, "", "é"):
        stranger = visit()
        stranger.client.cookies.set("zentra_session", forged.encode("ascii", "ignore").decode(), path="/console")
        assert stranger.open("/console/approvals").path.startswith("/console/sign-in")
    assert other.open("/console/approvals").status == 200
    access.revoke_token(books.home, token.token_id, NOW)
    assert other.open("/console/approvals").path.startswith("/console/sign-in")


def test_a_form_without_the_sessions_word_or_from_another_site_is_refused(visit: Visit, books: Books) -> None:
    approver = visit("approver")
    propose(books, exception_id := of_many(books, 39))
    fields = {"action": "approve", "item": f"{exception_id}:1"}
    assert approver.send("/console/approvals", fields).status == 403
    assert approver.send("/console/approvals", {**fields, "csrf": visit("operator").csrf}).status == 403
    own = {**fields, "csrf": approver.csrf}
    assert approver.send("/console/approvals", own, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert approver.send("/console/sign-out", {}).status == 403
    (row,) = rows(books, f"select status from exceptions where exception_id = '{exception_id}'")
    assert row["status"] == "pending_approval"


def test_every_form_needs_the_sessions_word_and_a_planted_session_is_replaced(visit: Visit, books: Books) -> None:
    admin = visit("admin")
    given = {"run_id": "run_1", "exception_id": "exc_1", "period": "2026-04", "sha256": "0" * 64, "revision": "1"}
    forms = [route for module in PAGES for route in module.ROUTES if "POST" in route.methods]
    assert len(forms) > 10
    for route in forms:
        path = f"/console{route.path.format(**given)}"
        if path != "/console/sign-in":
            assert admin.send(path, {"action": "approve"}).status == 403, path
    planted = visit()
    planted.client.cookies.set("zentra_session", "x" * 43, domain="zentra.local", path="/console")
    assert planted.sign_in(books.tokens["acme", "analyst"]).status == 200
    assert [each.value != "x" * 43 for each in planted.client.cookies.jar if each.name == "zentra_session"] == [True]


def test_who_approves_sees_sides_effect_and_limit_and_two_write_offs_make_their_run_again_once(
    visit: Visit, books: Books
) -> None:
    ids = [of_many(books, number) for number in (30, 31)]
    for exception_id in ids:
        propose(books, exception_id, reason="bank <b>fee</b>")
    (run,) = rows(books, "select revision from runs where provider = 'many'")
    page = visit("approver").open("/console/approvals")
    (card,) = [each for each in page.of("card") if "bank <b>fee</b>" in each]
    for said in (
        "Resolve as written off: 2 alike, differences 20.61 EUR in all",
        "Proposed by operator_acme",
        "Provider settled 10.30 EUR line_030",
        "Ledger posted nothing",
        "many, 2026-04-21",
        "settlement rows: accounted for 0.00 EUR→10.30 EUR",
        "approver: up to 10.35 EUR",
    ):
        assert said in card
    operator = visit("operator").open("/console/approvals")
    assert "an approver or admin approves this" in operator.text
    assert "Approve the ticked" not in operator.buttons
    done = page.press("Approve the ticked", among="bank <b>fee</b>")
    assert (done.status, done.of("good")) == (200, ["Approved."])
    ended = rows(books, f"select status, resolution, resolved_by from exceptions where exception_id in {tuple(ids)}")
    assert ended == [{"status": "resolved", "resolution": "written_off", "resolved_by": "approver_acme"}] * 2
    (again,) = rows(books, "select revision from runs where provider = 'many'")
    assert again["revision"] == run["revision"] + 1
    (row,) = rows(books, "select accounted_minor from conservation where side = 'settlement' and currency = 'EUR'")
    assert row["accounted_minor"] == 2_061


def test_equal_proposals_are_approved_at_once_and_each_stands_for_itself(visit: Visit, books: Books) -> None:
    ids = [of_many(books, number) for number in (32, 33, 35)]
    for exception_id in ids:
        propose(books, exception_id, reason="three alike", resolution="provider_error_confirmed")
    page = visit("approver").open("/console/approvals")
    assert any("3 alike, differences 31.00 EUR in all" in card for card in page.of("card"))
    assert "No line of it changes." in page.text
    deciding.decide(
        books.tenant("acme"), DecisionRequest(ids[0], "reject", "admin_acme", reason="no", role="admin"), NOW
    )
    done = page.press("Approve the ticked", among="three alike")
    assert "2 recorded." in done.text
    assert ids[0] in done.text
    states = rows(books, f"select status from exceptions where exception_id in {tuple(ids[1:])}")
    assert [row["status"] for row in states] == ["resolved", "resolved"]


def test_nobody_approves_their_own_proposal_and_a_reader_has_no_buttons(visit: Visit, books: Books) -> None:
    propose(books, exception_id := of_many(books, 34), actor="approver_acme", reason="my own")
    propose(books, of_many(books, 38), reason="above the limit")
    approver = visit("approver")
    page = approver.open("/console/approvals")
    (card,) = [each for each in page.of("card") if "my own" in each]
    assert "You proposed this: somebody else has to approve it." in card
    (card,) = [each for each in page.of("card") if "above the limit" in each]
    assert "Above your limit: as approver you may approve up to 10.35 EUR." in card
    assert "Approve" not in card
    above = {"csrf": approver.csrf, "action": "approve", "item": f"{of_many(books, 38)}:1"}
    assert approver.send("/console/approvals", above).status == 403
    own = {"csrf": approver.csrf, "action": "approve", "item": f"{exception_id}:1"}
    answer = approver.send("/console/approvals", own)
    assert (answer.status, "somebody else has to approve" in answer.text) == (403, True)
    analyst = visit("analyst")
    assert analyst.open("/console/approvals").buttons == []
    assert analyst.send("/console/approvals", {**own, "csrf": analyst.csrf}).status == 403


def test_another_tenants_exception_is_no_exception(visit: Visit, books: Books) -> None:
    globex = visit("admin", "globex")
    theirs = {"csrf": globex.csrf, "action": "approve", "item": f"{of_many(books, 34)}:1"}
    assert globex.send("/console/approvals", theirs).status == 404
    assert "my own" not in globex.open("/console/approvals").text


def test_a_decision_needs_what_it_needs(visit: Visit, books: Books) -> None:
    approver = visit("approver")
    word = approver.csrf
    for fields, status in (
        ({"action": "approve"}, 422),
        ({"action": "assign", "item": "exc_1:0"}, 422),
        ({"action": "approve", "item": "exc_1"}, 422),
        ({"action": "reject", "item": f"{of_many(books, 34)}:1"}, 422),
        ({"action": "reject", "item": f"{of_many(books, 34)}:0", "reason": "x"}, 409),
        ({"action": "reject", "reason": "a\0b", "item": "exc_1:0"}, 400),
    ):
        assert approver.send("/console/approvals", {"csrf": word, **fields}).status == status, fields


def test_sessions_end_by_themselves(books: Books, visit: Visit) -> None:
    from datetime import timedelta

    from zentra_pipeline.tenants import sessions

    begun = datetime(2026, 5, 2, 8, tzinfo=NOW.tzinfo)
    secret = sessions.begin(books.home, books.tokens["acme", "operator"], begun)
    assert secret is not None
    session = sessions.find(books.home, secret, begun + sessions.LASTS - timedelta(seconds=1))
    assert session is not None
    assert (session.identity.actor, session.identity.role) == ("operator_acme", "operator")
    assert sessions.find(books.home, secret, begun + sessions.LASTS) is None
