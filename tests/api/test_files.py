"""Files over HTTP: the same ingest as on the command line, within a limit, and names that reach nothing."""

import httpx
import pytest

from tests.api.conftest import PROVIDER, Api, Books, serving, story
from zentra_pipeline.api.service import Limits

COLUMNS = (
    *("line_id", "line_type", "provider_reference", "merchant_reference"),
    *("gross_minor", "fee_minor", "net_minor", "currency", "settled_at", "batch_id"),
)
HEADER = ",".join(COLUMNS) + "\n"
LINE = "L{0},payment,r{0},m{0},1000,10,{1},USD,2026-05-02T08:00:00Z,B1\n"


def settlement(*numbers: int, net: str = "990") -> bytes:
    return (HEADER + "".join(LINE.format(number, net) for number in numbers)).encode()


def send(
    api: Api, content: bytes, kind: str = "settlement", media_type: str = "text/csv", **query: str
) -> httpx.Response:
    return api.as_("service").post(f"/files/{PROVIDER}/{kind}", content=content, media_type=media_type, **query)


def test_a_file_is_accepted_once_and_bad_rows_are_counted(own_api: Api, own_books: Books) -> None:
    content = settlement(1, 2) + settlement(3, net="12.0").removeprefix(HEADER.encode())
    answer = send(own_api, content, settlement_file="set_2026_05_02")
    assert answer.status_code == 200, answer.text
    reported = answer.json()
    assert (reported["file_id"], reported["rows"], reported["staged"], reported["quarantined"]) == (
        "set_2026_05_02",
        3,
        2,
        1,
    )
    assert sum(reported["reasons"].values()) == 1
    assert not reported["unchanged"]
    assert send(own_api, content, settlement_file="set_2026_05_02").json()["unchanged"]
    run = {"provider": PROVIDER, "settlement_file": "set_2026_05_02", "ledger_window": "2026-05-02", "owner": "o"}
    assert own_api.as_("service").post("/reconciliation/runs", run).status_code == 202
    assert list(own_books.paths("acme").scratch.glob("upload-*")) == []


def test_a_name_gives_the_id_and_the_form(own_api: Api) -> None:
    line = b'{"event_id":"e1","intent_id":"i1","stage":"accepted","actor":"a","scope":"s","policy":"p",'
    line += b'"policy_result":"ok","occurred_at":"2026-05-02T08:00:00Z","transaction_id":null}\n'
    reported = send(own_api, line, "internal_events", "application/octet-stream", name="events_05_02.jsonl").json()
    assert (reported["file_id"], reported["staged"]) == ("events_05_02", 1)
    ledger = story("acme").folder / "inputs" / "ledger_2026_04_20.csv"
    unnamed = send(own_api, ledger.read_bytes(), "ledger")
    assert unnamed.status_code == 200, unnamed.text
    assert unnamed.json()["file_id"].startswith("ledger_")
    assert send(own_api, ledger.read_bytes(), "ledger").json()["unchanged"]


def test_a_statement_is_uploaded_for_a_bank_by_its_profile(own_api: Api, own_books: Books) -> None:
    banks = own_books.paths("acme").banks
    banks.mkdir(exist_ok=True)
    (banks / "giro.yml").write_text("format: mt940", encoding="utf-8")
    content = b":20:S\n:25:1\n:28C:7/1\n:60F:C260425EUR1,00\n:61:2604260426C2,00NTRFX//B1\n:62F:C260426EUR3,00\n-"

    def post(bank: str, **query: str) -> httpx.Response:
        path = f"/files/{bank}/bank_statement"
        return own_api.as_("service").post(path, content=content, media_type="application/octet-stream", **query)

    reported = post("giro", name="day_7.sta").json()
    assert (reported["file_id"], reported["staged"], reported["unchanged"]) == ("day_7", 2, False)
    assert post("giro", name="day_7.sta").json()["unchanged"]
    assert post("giro").status_code == 422
    assert "no bank 'other'" in post("other", name="day_7.sta").text


def test_a_file_of_which_nothing_gets_in_is_rejected_with_the_reason(own_api: Api) -> None:
    for content in (b"", b"a,b\n1,2\n", settlement(9, net="x"), b"\xff\xfe", b'{"a": 1}\n'):
        answer = send(own_api, content, settlement_file="refused")
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/rejected"), content
        assert answer.json()["detail"]


@pytest.mark.parametrize(
    "name", ["../x", "..", "a/b", "*", "[1].csv", "k=v", "", "x" * 129, "\u00e9.csv", "a\x00b", ".csv"]
)
def test_names_that_reach_elsewhere_are_refused(own_api: Api, own_books: Books, name: str) -> None:
    before = sorted(path for path in own_books.home.root.rglob("*") if not path.name.endswith(("-wal", "-shm")))
    assert send(own_api, settlement(5), name=name).status_code == 422
    assert send(own_api, settlement(5), settlement_file=name).status_code == 422
    after = sorted(path for path in own_books.home.root.rglob("*") if not path.name.endswith(("-wal", "-shm")))
    assert after == before


def test_a_settlement_file_needs_an_id_and_a_kind_has_to_be_known(own_api: Api) -> None:
    assert send(own_api, settlement(5)).status_code == 422
    assert send(own_api, settlement(5), "callbacks", settlement_file="x").status_code == 422
    assert send(own_api, settlement(5), tenant="globex", settlement_file="x").status_code == 422


def test_a_form_that_holds_a_file_is_not_the_file(own_api: Api) -> None:
    form = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + settlement(5) + b"\r\n--x--\r\n"
    answer = own_api.as_("service").post(
        "/files/rail_primary/settlement", content=form, media_type="multipart/form-data; boundary=x", name="set.csv"
    )
    assert (answer.status_code, answer.json()["detail"]) == (
        415,
        "The body has to be the file itself, not a form that holds it.",
    )


def test_a_file_that_is_too_large_is_refused_as_it_comes(own_books: Books) -> None:
    with serving(own_books, Limits(upload_bytes=1_000)) as api:
        assert send(api, settlement(*range(20)), settlement_file="large").status_code == 413
        assert send(api, settlement(1), settlement_file="small").status_code == 200
