"""The closeout report shows the sealed figures, ties, and nothing anybody wrote can make it anything but a page."""

import json
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from zentra_pipeline.closeout import report_text
from zentra_pipeline.closeout.report import SHOWN_ROWS, report
from zentra_pipeline.errors import ZentraError

CORPORA = Path(__file__).resolve().parents[2] / ".." / "shared" / "corpora"
NAUGHTY = CORPORA / "blns" / "blns.json"
Row = dict[str, Any]

PAYLOAD: Row = {
    "type": "zentra.closeout",
    "version": 1,
    "closeout_id": "clo_1",
    "closeout_revision": 1,
    "tenant": "acme",
    "provider": "rail_primary",
    "settlement_file": "set_2026_04_26",
    "ledger_window": "2026-04-26",
    "run_id": "run_1",
    "run_revision": 2,
    "owner": "finance_ops",
    "scope": "acme/rail_primary",
    "as_of": "2026-04-27T01:00:00Z",
    "sealed_at": "2026-04-27T09:12:44.120331Z",
    "actor": "dora",
    "prepared_by": "milan",
    "prepared_at": "2026-04-27T08:00:00Z",
    "approved_by": "dora",
    "approved_at": "2026-04-27T09:12:44.120331Z",
    "policy": {
        "name": "closeout",
        "digest": "d0" * 32,
        "result": "passed",
        "checks": [{"name": "maker_checker", "result": "accepted", "detail": "two people"}],
    },
    "has_activity": True,
    "evidence_root": "e0" * 32,
    "evidence_rows": 14,
    "evidence_status": "audit_ready",
    "digests": {"inputs": "a1" * 32, "rules": "a2" * 32, "code": "a3" * 32},
    "chain": {"sequence": 7, "previous_seal": "b0" * 32},
    "amends": None,
}
NO_TOTALS: Row = {
    "evidence": {"rows": 0},
    "matches": [],
    "exceptions": [],
    "open_items": [],
    "decisions": 0,
    "events": 0,
    "rollforward": [],
    "conservation": [],
    "three_way": [],
}


class Page(HTMLParser):
    """What a browser makes of the report: its elements, and the text of somebody's words apart from the rest."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.said: list[str] = []
        self.cells: list[str] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(content.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag in ("meta", "br", "col"):
            return
        self._open.append(tag)
        if tag == "bdi":
            self.said.append("")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "bdi" in self._open:
            self.said[-1] += data
        if self.rows and "tr" in self._open and self.rows[-1]:
            self.rows[-1][-1] += data

    def row(self, heading: str) -> list[str]:
        """The cells of the one row that begins with these words, without line breaks of the layout."""
        cells = [[" ".join(cell.split()) for cell in row] for row in self.rows]
        (found,) = [row for row in cells if row and row[0] == heading]
        return found[1:]


def exception(number: int = 1, **changes: Any) -> Row:
    return {
        "exception_id": f"exc_{number:06}",
        "run_id": "run_1",
        "exception_type": "unmatched_provider_row",
        "severity": "high",
        "subject_type": "settlement_line",
        "subject_id": f"line_{number}",
        "provider_reference": None,
        "currency": "USD",
        "amount_minor": "125000",
        "difference_minor": None,
        "owner": "finance_ops",
        "lane": "settlement_breaks",
        "status": "open",
        "due_at": "2026-04-29T00:00:00Z",
        "opened_at": "2026-04-27T01:00:00Z",
        "resolution": None,
        "explanation": "no pass found one",
        "candidates": [],
        **changes,
    }


def decision(exception_id: str | None, **changes: Any) -> Row:
    return {
        "decision_id": "dec_1",
        "exception_id": exception_id,
        "run_id": "run_1",
        "action": "resolve",
        "actor": "milan",
        "decided_at": "2026-04-27T07:00:00Z",
        "reason": None,
        "policy": {},
        "result": "pending_approval",
        "owner": None,
        "resolution": None,
        **changes,
    }


def open_item(number: int = 1, **changes: Any) -> Row:
    return {
        "item_type": "ledger_transaction",
        "item_id": f"txn_{number}",
        "provider_reference": f"pay_{number}",
        "currency": "USD",
        "amount_minor": "9900",
        "opened_window": "2026-04-24",
        "age_business_days": 1,
        "aging_bucket": "1-2",
        "item_state": "in_transit",
        **changes,
    }


def rollforward(currency: str, opening: int, posted: int, settled: int, closing: int, difference: int = 0) -> Row:
    figures = {"opening": opening, "posted": posted, "settled": settled, "written_off": 0, "closing": closing}
    return {"currency": currency, **{f"{name}_minor": str(minor) for name, minor in figures.items()}} | {
        "difference_minor": str(difference)
    }


def made(
    payload: Mapping[str, Any] | None = None,
    totals: Mapping[str, Any] | None = None,
    exceptions: Sequence[Row] = (),
    open_items: Sequence[Row] = (),
    decisions: Sequence[Row] = (),
) -> bytes:
    """A report whose totals count the rows given, as control_totals.json would."""
    counted: Row = {
        "exceptions": [
            {"exception_type": row["exception_type"], "status": row["status"], "exceptions": 1} for row in exceptions
        ],
        "open_items": [
            {
                "item_type": row["item_type"],
                "currency": row["currency"],
                "items": 1,
                "amount_minor": row["amount_minor"],
            }
            for row in open_items
        ],
    }
    return report(
        PAYLOAD | dict(payload or {}),
        NO_TOTALS | counted | dict(totals or {}),
        iter(exceptions),
        iter(open_items),
        iter(decisions),
    )


def test_the_statement_goes_from_opening_to_closing_with_the_decimals_of_each_currency() -> None:
    forward = [
        rollforward("JPY", 12_500, 0, 12_500, 0),
        rollforward("KWD", 31_750, 0, 0, 31_750),
        rollforward("USD", 39_900, -95_373, -123_456_789, 123_401_316),
    ]
    items = [open_item(1, currency="KWD", amount_minor="31750"), open_item(2, amount_minor="123401316")]
    page = Page(made(totals={"rollforward": forward}, open_items=items))
    assert page.row("Unsettled movements brought forward") == ["12,500", "31.750", "399.00"]
    assert page.row("plus posted in this window") == ["0", "0.000", "−953.73"]
    assert page.row("less settled by confirmed matches") == ["12,500", "0.000", "−1,234,567.89"]
    assert page.row("Unsettled movements carried forward") == ["0", "31.750", "1,234,013.16"]
    assert page.row("Ledger movements among the open items") == ["0", "31.750", "1,234,013.16"]
    assert page.row("Carried forward less open items") == ["0", "0.000", "0.00"]
    assert ("class", "off") not in page.attributes


def test_what_does_not_tie_stands_out() -> None:
    page = Page(made(totals={"rollforward": [rollforward("USD", 0, 500, 0, 400, difference=100)]}))
    assert page.row("Difference in the roll-forward") == ["1.00"]
    assert page.row("Carried forward less open items") == ["4.00"]
    assert page.attributes.count(("class", "off")) == 2


def test_more_currencies_than_fit_abreast_go_on_below() -> None:
    currencies = ["AUD", "CHF", "EUR", "GBP", "USD"]
    page = Page(made(totals={"rollforward": [rollforward(currency, 100, 0, 0, 100) for currency in currencies]}))
    heads = [row[1:] for row in page.rows if row[0] == "" and set(row[1:]) & set(currencies)]
    assert heads == [currencies[:4], currencies[4:]]


def test_three_sides_show_their_counts_and_differences() -> None:
    row = {
        "currency": "USD",
        "movements": 1_200,
        "with_callback": 1_100,
        "with_settlement": 1_199,
        "with_ledger": 1_200,
        "callback_minor": "900",
        "settlement_minor": "1100",
        "ledger_minor": "1000",
    }
    assert Page(made(totals={"three_way": [row]})).row("USD") == [
        "1,200",
        "9.001,100 of 1,200",
        "11.001,199 of 1,200",
        "10.001,200 of 1,200",
        "1.00",
        "−1.00",
    ]


def test_every_row_is_accounted_for_and_what_is_not_stands_out() -> None:
    buckets = ("matched", "in_transit", "excepted", "accounted", "duplicates", "quarantined")
    nothing = dict.fromkeys(buckets, 0) | {f"{name}_minor": "0" for name in buckets}
    whole = {"side": "ledger", "currency": "USD", "rows_in": 2, "amount_in_minor": "300", **nothing}
    whole |= {"matched": 2, "matched_minor": "300", "rows_unexplained": 0, "amount_unexplained_minor": "0"}
    refused = {"side": "settlement", "currency": "", "rows_in": 3, "amount_in_minor": "0", **nothing}
    refused |= {"quarantined": 3, "rows_unexplained": 0, "amount_unexplained_minor": "0"}
    page = Page(made(totals={"conservation": [whole, refused]}))
    assert page.row("LedgerUSD") == ["23.00", "23.00", "–", "–", "–", "–", "–", "0"]
    assert page.row("Settlementnot let in") == ["3", "–", "–", "–", "–", "–", "3", "0"]
    short = whole | {"matched": 1, "rows_unexplained": 1, "amount_unexplained_minor": "100"}
    assert ("class", "off") in Page(made(totals={"conservation": [short]})).attributes


def test_an_exception_names_who_owns_it_who_decided_and_why() -> None:
    resolved = exception(status="resolved", resolution="provider_error_confirmed", owner="treasury")
    log = [
        decision("exc_000001", resolution="provider_error_confirmed", reason="ticket 4411"),
        decision("exc_000001", action="approve", actor="dora", decided_at="2026-04-27T08:30:00Z", result="resolved"),
        decision(None, action="acknowledge_quarantine", reason="a subtotal line"),
        decision("exc_of_another_run", reason="not of this report"),
    ]
    html = made(exceptions=[resolved], decisions=log)
    page = Page(html)
    row = page.row("Settled without a ledger movementhigh, due 2026-04-29 00:00:00 UTC")
    assert row[1:] == ["1,250.00USD", "–", "treasurysettlement breaks", "provider error confirmed"]
    (reported,) = [" ".join("".join(row).split()) for row in page.rows if "ticket 4411" in "".join(row)]
    assert "Resolve, provider error confirmed — milan, 2026-04-27 07:00:00 UTC: ticket 4411" in reported
    assert "Approve — dora, 2026-04-27 08:30:00 UTC" in reported
    assert page.row("Acknowledge quarantinepending approval")[-1] == "a subtotal line"
    assert "not of this report" not in page.said


def test_of_many_exceptions_the_gravest_are_shown_and_the_rest_counted() -> None:
    many = [exception(number, amount_minor=str(number)) for number in range(SHOWN_ROWS + 1_000)]
    many.append(exception(9_001, severity="critical", exception_type="status_conflict", amount_minor=None))
    many.append(exception(9_002, severity="low", exception_type="late_callback", amount_minor="99999999"))
    many.append(exception(9_003, status="resolved", amount_minor="99999999"))
    html = made(exceptions=many).decode()
    shown = [said for said in Page(html.encode()).said if said.startswith("exc_")]
    assert len(shown) == SHOWN_ROWS
    assert shown[:2] == ["exc_009001", f"exc_{SHOWN_ROWS + 999:06}"]
    assert not {"exc_009002", "exc_009003"} & set(shown)
    assert "1,003 more exceptions: see" in html
    assert "files/exceptions.jsonl" in html


def test_of_many_open_items_the_oldest_are_shown_and_all_are_in_the_age_bands() -> None:
    items = [open_item(number) for number in range(SHOWN_ROWS)]
    items += [open_item(9_001, age_business_days=40, aging_bucket="over 30", currency="EUR", amount_minor="-5")]
    html = made(open_items=items).decode()
    page = Page(html.encode())
    bands = [[" ".join(cell.split()) for cell in row] for row in page.rows if row[0] == "Ledger transaction"]
    assert bands == [
        ["Ledger transaction", "EUR", "over 30", "1", "−0.05"],
        ["Ledger transaction", "USD", "1-2", str(SHOWN_ROWS), "49,500.00"],
    ]
    assert next(said for said in page.said if said.startswith("txn_")) == "txn_9001"
    assert "1 more open item: see" in html


def test_rows_that_are_not_those_of_the_totals_are_refused() -> None:
    counted = [{"exception_type": "late_callback", "status": "open", "exceptions": 2}]
    with pytest.raises(ZentraError, match="given 1 rows of exceptions, the control totals say 2"):
        made(totals={"exceptions": counted}, exceptions=[exception()])
    with pytest.raises(ZentraError, match="given 1 rows of open_items, the control totals say 0"):
        made(totals={"open_items": []}, open_items=[open_item()])


def test_an_amendment_names_its_predecessor_and_the_reason() -> None:
    amends = {"closeout_id": "clo_0", "seal_digest": "c0" * 32, "reason": "a callback came late"}
    page = Page(made({"closeout_revision": 2, "amends": amends}))
    assert {"clo_0", "c0" * 32, "a callback came late"} <= set(page.said)
    assert "This closeout amends" not in made().decode()


def test_a_window_without_activity_and_incomplete_evidence_are_said_plainly() -> None:
    assert "<b>No activity.</b>" in made({"has_activity": False, "run_revision": 0}).decode()
    assert "<b>The evidence is incomplete.</b>" in made({"evidence_status": "incomplete"}).decode()
    ordinary = made().decode()
    assert "<b>No activity.</b>" not in ordinary
    assert "<b>The evidence is incomplete.</b>" not in ordinary


def test_the_integrity_block_has_the_digests_and_says_how_to_check_them() -> None:
    html = made().decode()
    page = Page(html.encode())
    assert {"e0" * 32, "a1" * 32, "a2" * 32, "a3" * 32, "b0" * 32, "d0" * 32} <= set(page.said)
    assert "zentra verify BUNDLE --trust trust.json" in html
    assert "none, this is the first" in made({"chain": {"sequence": 1, "previous_seal": None}}).decode()


def test_sign_offs_show_who_when_and_what_policy_said() -> None:
    html = made().decode()
    assert '<b><bdi class="said">milan</bdi></b>' in html
    assert '<time datetime="2026-04-27T09:12:44.120331Z">2026-04-27 09:12:44 UTC</time>' in html
    assert Page(html.encode()).row("maker checker") == ["accepted", "two people"]


def test_the_same_facts_give_the_same_bytes() -> None:
    facts: Row = {"exceptions": [exception()], "open_items": [open_item()], "decisions": [decision("exc_000001")]}
    assert made(**facts) == made(**facts)
    assert made(**facts) != made({"evidence_rows": 15}, **facts)


def hostile(text: str) -> bytes:
    """A report with this text wherever a person or a provider can put one, and where only our own words should be."""
    payload: Row = dict.fromkeys(("provider", "owner", "prepared_by", "approved_by", "settlement_file", "scope"), text)
    payload |= {"closeout_id": text, "evidence_status": text, "sealed_at": text}
    payload |= {"amends": {"closeout_id": text, "seal_digest": text, "reason": text}}
    payload |= {"policy": PAYLOAD["policy"] | {"checks": [{"name": text, "result": text, "detail": text}]}}
    row = exception(subject_id=text, provider_reference=text, owner=text, explanation=text)
    item = open_item(item_id=text, provider_reference=text)
    log = [
        decision("exc_000001", actor=text, reason=text, owner=text),
        decision(None, action=text, actor=text, reason=text, result=text),
    ]
    return made(payload, exceptions=[row], open_items=[item], decisions=log)


ORDINARY = set(Page(hostile("ordinary")).tags)
ATTRIBUTES = {name for name, _ in Page(hostile("ordinary")).attributes}
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</style><script>alert(1)</script>",
    "</bdi></td></table><h1>Approved</h1>",
    "{{ 7 * 7 }}{% raw %}",
    "<!-- ",
    "]]>",
    "&lt;b&gt;",
    "javascript:alert(1)",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(text: str) -> None:
    content = hostile(text)
    page = Page(content)
    assert page.said.count(text) >= 14
    assert set(page.tags) == ORDINARY
    assert {name for name, _ in page.attributes} == ATTRIBUTES


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the corpora are not beside this repository")
def test_every_naughty_string_is_shown_as_text() -> None:
    texts = [text for text in json.loads(NAUGHTY.read_text("utf-8")) if text]
    content = made(exceptions=[exception(number, explanation=text) for number, text in enumerate(texts[:SHOWN_ROWS])])
    content += made(exceptions=[exception(number, explanation=text) for number, text in enumerate(texts[SHOWN_ROWS:])])
    said = Page(content).said
    for text in texts:
        visible = "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
        assert visible in said
    assert set(Page(content).tags) <= ORDINARY


def test_characters_that_would_not_show_or_would_turn_the_line_around_are_shown_as_escapes() -> None:
    page = Page(made(exceptions=[exception(explanation="paid\x00 \u202e00.000,1\u200b\ud800 ok")]))
    assert "paid\\x00 \\u202e00.000,1\\u200b\\ud800 ok" in page.said


def test_a_very_long_text_is_cut_and_says_so() -> None:
    page = Page(made(exceptions=[exception(explanation="x" * 4_096)]))
    assert "x" * 1_000 in page.said
    assert any("cut, 4,096 characters in all" in cell for row in page.rows for cell in row)


def test_nothing_outside_is_referred_to_and_the_policy_forbids_it() -> None:
    html = made().decode()
    page = Page(html.encode())
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    assert not {"script", "link", "img", "iframe", "object", "form", "a"} & set(page.tags)
    assert not {"src", "href", "style"} & {name for name, _ in page.attributes}
    assert "url(" not in html
    assert "@import" not in html


@pytest.mark.parametrize("name", ['"; } body { display: none', "\\22 ; }", "a\nb", "</style>", "*/"])
def test_a_name_cannot_leave_the_page_footer(name: str) -> None:
    word = report_text.css_word(name)
    assert not set(word) & set("\"'\\\n<>{};*/()")
    assert f'content: "Closeout {word} r1"' in made({"closeout_id": name}).decode()


def test_an_unknown_currency_or_word_is_refused() -> None:
    with pytest.raises(ZentraError, match="unknown currency 'XQX'"):
        made(totals={"rollforward": [rollforward("XQX", 0, 0, 0, 0)]})
    with pytest.raises(ZentraError, match="unknown exception type"):
        made(exceptions=[exception(exception_type="odd")])
