"""The list of exceptions and the page of one: what is seen, found, sorted, decided and sent as a sheet."""

import csv
import io
from collections.abc import Callable
from urllib.parse import quote

import pytest
from openpyxl import load_workbook

from tests.api.conftest import Books
from tests.console.conftest import HOSTILE, LINES
from tests.console.test_sign_in_and_approvals import of_many, rows
from tests.console.visitor import Page, Visitor
from zentra_pipeline.console.rendering import PREFIX

Visit = Callable[..., Visitor]
TAGS = {"script", "img", "iframe", "object", "style"}


def references(page: Page) -> list[str]:
    return page.of("reference")


def test_the_list_shows_amounts_in_major_units_due_days_and_hostile_text_as_text(visit: Visit) -> None:
    page = visit("analyst").open("/console/exceptions?provider=many&status=any&sort=reference")
    assert f"{LINES} exceptions" in page.text
    assert not {each.tag for each in page.tree.find("body").iter() if isinstance(each.tag, str)} & TAGS
    assert [each.get("src") for each in page.tree.iter("script")] in ([], [f"{PREFIX}/static/htmx/htmx-2.min.js"])
    shown = references(page)
    assert HOSTILE[0] in shown
    assert HOSTILE[1] in shown
    assert "\\u202eright to left" in shown
    assert any(text.startswith("long-xxx") and "cut, 4,005 characters in all" in text for text in shown)
    assert "10.39 EUR" in page.text
    assert "2026-04-23" in page.text
    assert "onerror" not in {name for each in page.tree.iter() if isinstance(each.tag, str) for name in each.attrib}
    assert page.buttons == ["Show", "Save the view"]


@pytest.mark.parametrize("reference", HOSTILE)
def test_every_page_of_a_hostile_reference_is_text(visit: Visit, books: Books, reference: str) -> None:
    analyst = visit("analyst")
    found = analyst.open(f"/console/exceptions?status=any&reference={quote(reference, safe='')}")
    (exception_path,) = [path for path in found.links() if path.startswith("/console/exceptions/exc_")]
    for page in (found, analyst.open(exception_path)):
        assert page.status == 200
        tags = [each for each in page.tree.find("body").iter() if isinstance(each.tag, str)]
        assert len(page.tree.findall("head//script")) <= 1
        assert not {each.tag for each in tags} & TAGS
        assert not [name for each in tags for name in each.attrib if name.startswith("on")]
        assert not [
            each.get("href")
            for each in tags
            if (each.get("href") or "/").strip()[0] != "/" and each.tag == "a" and each.get("href") != "#main"
        ]


def test_filters_and_orders_make_a_view_that_is_a_url_and_can_be_kept(visit: Visit, books: Books) -> None:
    operator = visit("operator")
    for view, sql in (
        ("provider=rail_primary", "provider = 'rail_primary' and status <> 'resolved'"),
        ("type=fee_variance&status=any", "exception_type = 'fee_variance'"),
        ("window=2026-04-21&status=any", "ledger_window = '2026-04-21'"),
        ("owner=nobody", "false"),
    ):
        page = operator.open(f"/console/exceptions?{view}")
        (wanted,) = rows(books, f"select count(*) as n from exceptions where {sql}")
        assert f"{wanted['n']} exception" in page.text, view
    largest = operator.open("/console/exceptions?status=any&sort=-amount&provider=many")
    assert largest.of("amount")[:2] == ["10.39 EUR", "10.38 EUR"]
    kept = operator.open("/console/exceptions?provider=many&sort=-amount").press(
        "Save the view", name="Many <b>first</b>"
    )
    assert kept.of("good") == ["The view is saved."]
    (link,) = kept.tree.xpath("//nav[@aria-label='Saved views']/a")
    assert (link.text_content(), link.get("href")) == (
        "Many <b>first</b>",
        "/console/exceptions?provider=many&sort=-amount",
    )
    assert "Many" not in visit("approver").open("/console/exceptions").text.split("Reference, line")[0]
    assert kept.press("Remove", name="Many <b>first</b>").of("good") == ["The view is removed."]
    assert "No exception is like this." in operator.open("/console/exceptions?owner=nobody").text
    for wrong in ("page=x", "page=999999999999", "page=9", "sort=drop", "overdue=yes", "reference=%25%27%22"):
        assert operator.open(f"/console/exceptions?{wrong}").status == 200, wrong
    beyond = operator.open("/console/exceptions?provider=many&page=9")
    assert (beyond.path, len(references(beyond)) > 1) == ("/console/exceptions?provider=many", True)
    assert operator.open("/console/exceptions?window=yesterday").status == 422


def test_many_are_decided_about_at_once(visit: Visit, books: Books) -> None:
    page = visit("operator").open("/console/exceptions?provider=many&sort=amount")
    items = [f"{of_many(books, number)}:0" for number in range(10, 14)]
    done = page.press("Record", item=items, action="assign", owner="night <i>desk</i>")
    assert (done.path, done.of("good")) == ("/console/exceptions?provider=many&sort=amount&said=decided", ["Recorded."])
    owners = rows(books, "select owner from exceptions where subject_id between 'line_010' and 'line_013'")
    assert {row["owner"] for row in owners} == {"night <i>desk</i>"}
    stale = page.press("Record", item=[*items[:2], f"{of_many(books, 20)}:0"], action="comment", reason="seen")
    assert "1 recorded." in stale.text
    assert "2 refused" in stale.text
    refused = page.press("Record", item=items[:1], action="resolve", reason="x", resolution="superseded")
    assert refused.status in (403, 422)
    assert page.press("Record", action="comment", reason="x").status == 422
    analyst = visit("analyst")
    fields = {"csrf": analyst.csrf, "action": "comment", "reason": "x", "item": items[0]}
    assert analyst.send("/console/exceptions", fields).status == 403


def test_a_sheet_goes_out_and_comes_back_as_csv_with_either_separator_or_excel(visit: Visit, books: Books) -> None:
    operator = visit("operator")
    page = operator.open("/console/exceptions?provider=many&sort=amount")
    for form, name in (("csv", "exceptions.csv"), ("semicolons", "exceptions.csv"), ("xlsx", "exceptions.xlsx")):
        answer = operator.client.get(f"/console/exceptions/sheet?form={form}&provider=many")
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert answer.headers["x-content-type-options"] == "nosniff"
        if form == "xlsx":
            book = load_workbook(io.BytesIO(answer.content))
            header = [cell.value for cell in book.active[1]]
            place = {name: number for number, name in enumerate(header, start=1)}
            for row in book.active.iter_rows(min_row=2):
                if row[place["subject_id"] - 1].value == "line_022":
                    book.active.cell(row[0].row, place["action"], "comment")
                    book.active.cell(row[0].row, place["reason"], "from Excel")
            changed = io.BytesIO()
            book.save(changed)
            file = ("sheet.xlsx", changed.getvalue())
        else:
            separator = ";" if form == "semicolons" else ","
            text = answer.content.decode("utf-8-sig")
            found = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=separator))
            assert len(found) >= LINES - 5
            for record in found:
                if record["subject_id"] == "line_021":
                    record |= {"action": "comment", "reason": f"from {form}"}
            written = io.StringIO(newline="")
            writer = csv.DictWriter(written, list(found[0]), delimiter=separator)
            writer.writeheader()
            writer.writerows(found)
            file = ("sheet.csv", written.getvalue().encode())
        done = page.press("Upload", file=file)
        assert (done.status, "1 recorded." in done.text) == (200, True), done.text
    said = rows(books, "select reason from decisions where action = 'comment' and reason like 'from %' order by reason")
    assert [row["reason"] for row in said] == ["from Excel", "from csv", "from semicolons"]
    for broken in (b"PK\x03\x04nonsense", b"\xff\xfe", b"a;b\n1;2\n"):
        assert page.press("Upload", file=("sheet.csv", broken)).status == 400
    assert operator.client.get("/console/exceptions/sheet?form=exe").status_code == 422


def test_an_exception_shows_its_sides_near_misses_search_history_and_what_may_be_done(
    visit: Visit, books: Books
) -> None:
    operator = visit("operator")
    (row,) = rows(books, "select * from exceptions where exception_type = 'fee_variance'")
    page = operator.open(f"/console/exceptions/{row['exception_id']}")
    sides = page.of("side")
    assert [side.split(" ")[0] for side in sides][:3] == ["Provider", "Ledger", "Callbacks"]
    assert row["subject_id"] in sides[0]
    for said in ("Postings on other accounts", "History", "Opened:", "What to do", "A second person approves it"):
        assert said in page.text, said


def test_a_near_miss_says_what_failed_and_is_matched_with_one_click(visit: Visit, books: Books) -> None:
    path = f"/console/exceptions/{of_many(books, 27)}"
    page = visit("operator").open(path)
    assert "ledger transaction txn_27 of 10.27 EUR" in page.text
    assert "What was searched" in page.text
    assert "Match these" not in visit("analyst").open(path).buttons
    done = page.press("Match these")
    assert (done.status, done.of("good")) == (200, ["Recorded."])
    assert "matched manually by operator_acme" in done.text
    (row,) = rows(books, "select method, difference_minor from matches where rule = 'manual'")
    assert row == {"method": "manual", "difference_minor": 0}


def test_somebody_works_through_an_exception_and_its_history_says_so(visit: Visit, books: Books) -> None:
    path = f"/console/exceptions/{of_many(books, 25)}"
    operator = visit("operator")
    page = operator.open(path).press("Comment", reason="asked <script>the bank</script>\nby mail")
    assert "comment: asked <script>the bank</script> by mail" in page.text
    page = page.press("Assign", owner="carol")
    assert "assign to carol" in page.text
    page = page.press("Resolve", resolution="provider_error_confirmed", reason="they say so")
    assert "Waits for approval: provider error confirmed" in page.text
    assert "an approver or admin approves this" in page.text
    approver = visit("approver").open(path)
    assert approver.press("Reject").status == 422
    approver = approver.press("Approve")
    assert "provider error confirmed by approver_acme" in approver.text
    stale = operator.send(path, {"csrf": operator.csrf, "action": "reopen", "reason": "x", "version": "1"})
    assert (stale.status, "decided" in stale.text) == (409, True)
    assert operator.open(path).press("Reopen", reason="not so").status == 200


def test_a_file_comes_with_a_comment_and_is_saved_never_shown(visit: Visit, books: Books) -> None:
    path = f"/console/exceptions/{of_many(books, 24)}"
    operator = visit("operator")
    content = b"<script>alert(1)</script>"
    page = operator.open(path).press("Comment", reason="their mail", file=("<img src=x>é.txt", content))
    assert page.of("good") == ["Recorded."]
    assert "<img src=x>é.txt" in page.text
    (link,) = [each for each in page.links() if "/attachments/" in each]
    answer = visit("analyst").client.get(link)
    assert answer.content == content
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert visit("admin", "globex").client.get(link).status_code == 404
    assert operator.open(path).press("Comment", reason="x", file=("a.html", content)).status == 422
    assert operator.open(path).press("Comment", reason="x", file=("a.pdf", content)).status == 422
    assert operator.open(path).press("Investigate", reason="x", file=("a.txt", content)).status == 422
    fields = {"csrf": visit("analyst").csrf, "action": "comment", "reason": "x", "version": "1"}
    assert visit("analyst").send(path, fields).status == 403


def test_another_tenants_exception_and_none_are_the_same_answer(visit: Visit, books: Books) -> None:
    globex = visit("admin", "globex")
    path = f"/console/exceptions/{of_many(books, 25)}"
    theirs, none = globex.open(path), globex.open("/console/exceptions/exc_none")
    assert (theirs.status, none.status) == (404, 404)
    assert theirs.text == none.text
    fields = {"csrf": globex.csrf, "action": "comment", "reason": "x", "version": "0"}
    assert globex.send(path, fields).status == 404
    analyst = visit("analyst")
    assert analyst.open(path).buttons == []
    assert analyst.send(path, {**fields, "csrf": analyst.csrf}).status == 403
