"""Card numbers and IBANs are masked before a row is kept, where nothing is matched by the text, and nowhere else."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.ingest.test_ingest import HEADER, csv, ingest, line, staged
from zentra_pipeline.config.privacy import load_privacy
from zentra_pipeline.errors import ConfigurationError, InputRejectedError
from zentra_pipeline.ingest.files import restage
from zentra_pipeline.ingest.masking import CARD, IBAN, FoundNumberError, Masking, masked_raw, masked_text
from zentra_pipeline.settings import Home
from zentra_pipeline.store import event_log, file_facts
from zentra_pipeline.store import files as registered
from zentra_pipeline.tenants.tenant import Tenant

BOTH = Masking(frozenset({CARD, IBAN}))
CARD_NUMBER = "4111111111111111"
OWN = "DE89370400440532013000"

TEXTS = {
    "groups": ("4111 1111 1111 1111", "4111 11** **** 1111"),
    "dashes and an expiry": ("by 4111-1111-1111-1111 12/27", "by 4111-11**-****-1111 12/27"),
    "glued to words": (f"card{CARD_NUMBER}exp", "card411111******1111exp"),
    "after another number": ("2026 4111 1111 1111 1111", "2026 4111 11** **** 1111"),
    "after a long number": (f"12345678901234567890 {CARD_NUMBER}", "12345678901234567890 411111******1111"),
    "fifteen digits": ("378282246310005", "378282*****0005"),
    "digits of another script": ("٤١١١١١١١١١١١١١١١", "٤١١١١١******١١١١"),
    "wide digits": ("４１１１１１１１１１１１１１１１", "４１１１１１******１１１１"),
    "invisible and odd blanks": ("4111\u200b1111\u00a01111\u20111111", "4111\u200b11**\u00a0****\u20111111"),
    "marks above and around": (
        "4\ufe0f\u20e3" + "1\u034f" * 15,
        "4\ufe0f\u20e3" + "1\u034f" * 5 + "*\u034f" * 6 + "1\u034f" * 4,
    ),
    "two cards": ("4111111111111111,5555555555554444", "411111******1111,555555******4444"),
    "IBAN in groups": ("DE89 3704 0044 0532 0130 00 rent", "DE** **** **** **** **30 00 rent"),
    "IBAN in small letters": ("iban de89370400440532013000", "iban de****************3000"),
    "IBAN behind its own name": (f"IBAN{OWN}", "IBANDE****************3000"),
    "IBAN with letters": ("GB82WEST12345698765432", "GB****************5432"),
    "IBAN of mostly letters": ("MT84MALT011000012345MTLCAST001S", "MT*************************001S"),
    "a wrong check digit": ("4111111111111112", "4111111111111112"),
    "no issuer": ("1234567890123452", "1234567890123452"),
    "one digit repeated": ("0000000000000000", "0000000000000000"),
    "an IBAN with a wrong check": ("DE88370400440532013000", "DE88370400440532013000"),
    "amounts": ("1.234.567,89 USD 12", "1.234.567,89 USD 12"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_number_is_masked_however_it_is_written_and_nothing_else_is(name: str) -> None:
    text, expected = TEXTS[name]
    counted: Counter[str] = Counter()
    masked = masked_text(text, BOTH, counted)
    assert masked == expected
    assert (counted.total() > 0) is (masked != text)
    assert len(masked) == len(text)
    assert masked_text(masked, BOTH, Counter()) == masked


RAWS = {
    "a number of JSON": ('{"card":4111111111111111,"x":1.10,"y":"a"}', '{"card":"411111******1111","x":1.10,"y":"a"}'),
    "escapes": (r'{"k":"4111\u00201111 1111 1111"}', '{"k":"4111 11** **** 1111"}'),
    "fields of its own": (
        '{"a":"4111","b":"1111","c":"1111","d":"1111"}',
        '{"a":"4111","b":"11**","c":"****","d":"1111"}',
    ),
    "a key": (f'{{"{CARD_NUMBER}":"x"}}', '{"411111******1111":"x"}'),
    "deep": ('[[{"z":["4111 1111 1111 1111"]}]]', '[[{"z":["4111 11** **** 1111"]}]]'),
    "a key twice": (f'{{"c":"{CARD_NUMBER}","c":"x"}}', '{"c":"411111******1111","c":"x"}'),
    "half a surrogate pair": (
        r'{"x":"\ud800 é","card":"4111 1111 1111 1111"}',
        r'{"x":"\ud800 \u00e9","card":"4111 11** **** 1111"}',
    ),
    "nested deeply": tuple("[" * 300 + f'"{number}"' + "]" * 300 for number in (CARD_NUMBER, "411111******1111")),
    "no JSON": (f"a,{CARD_NUMBER},b", "a,411111******1111,b"),
    "nothing found keeps its bytes": ('{"n": 12345678901234567890123, "f": 1.10}',) * 2,
}


@pytest.mark.parametrize("name", RAWS)
def test_a_row_as_received_stays_what_it_is(name: str) -> None:
    raw, expected = RAWS[name]
    assert masked_raw(raw, BOTH, Counter()) == expected


def test_in_text_that_matching_reads_a_bare_number_may_be_a_reference() -> None:
    counted: Counter[str] = Counter()
    text = f"PAYOUT {CARD_NUMBER} CARD 5555 5555 5555 4444 FROM {OWN} TO GB82WEST12345698765432"
    masked = masked_text(text, BOTH, counted, own=OWN, is_matched=True)
    assert masked == f"PAYOUT {CARD_NUMBER} CARD 5555 55** **** 4444 FROM {OWN} TO GB****************5432"
    assert counted == {CARD: 1, IBAN: 1}
    assert masked_text(f"FROM {OWN}", BOTH, Counter(), own=OWN.lower(), is_matched=True) == f"FROM {OWN}"


def test_an_iban_that_is_kept_is_no_card_number() -> None:
    """One IBAN in five, written in groups, holds digits that are right for a card."""
    text = "DE49 3704 0044 0530 0000 00"
    for masking in (Masking(frozenset({CARD})), Masking(refused=frozenset({CARD}))):
        assert masked_text(text, masking, Counter()) == text
        assert masked_raw(f'{{"from":"{text}"}}', masking, Counter()) == f'{{"from":"{text}"}}'


def test_a_refused_number_is_named_by_its_kind_alone() -> None:
    for text in ("4111 1111 1111 1111", '{"a":"4111","b":"1111","c":"1111","d":"1111"}'):
        with pytest.raises(FoundNumberError) as raised:
            masked_raw(text, Masking(refused=frozenset({CARD})), Counter())
        assert str(raised.value) == CARD


@pytest.mark.parametrize("text", ["PAYOUT 451234560X 20260427", "REF 41111111/11111111", "4111111 111111111 1"])
def test_references_beside_each_other_are_no_card_number_in_text_that_matching_reads(text: str) -> None:
    """A payout's reference with a day behind it passed for a card number one time in ten, and was no longer found."""
    text = text.replace("X", next(digit for digit in "0123456789" if changes(text.replace("X", digit))))
    assert masked_text(text, BOTH, Counter(), is_matched=True) == text


def changes(text: str) -> bool:
    """Whether a text that nothing is matched by would be masked."""
    return masked_text(text, BOTH, Counter()) != text


@pytest.fixture
def tenant(tmp_path: Path) -> Tenant:
    tenant = Tenant.of(Home(tmp_path), "acme")
    tenant.paths.root.mkdir(parents=True)
    return tenant


def says(tenant: Tenant, text: str) -> None:
    (tenant.paths.root / "privacy.yml").write_text(text, encoding="utf-8")


def with_note(path: Path, *rows: tuple[str, str]) -> Path:
    """A settlement file with a column that nobody knows."""
    path.write_text("\n".join([f"{HEADER},note", *(f"{row},{note}" for row, note in rows)]) + "\n", encoding="utf-8")
    return path


def notes(tenant: Tenant) -> dict[str, Any]:
    with tenant.reading() as connection:
        return dict(json.loads(file_facts.recorded(connection)[1].notes))


def test_what_is_kept_of_a_file_is_masked_and_its_references_are_not(tenant: Tenant, tmp_path: Path) -> None:
    """A reference may be a card number by chance: masked it would no longer match, and money would seem lost."""
    says(tenant, "card_numbers: mask\nibans: mask\n")
    reference = line("l1", reference=CARD_NUMBER)
    file = with_note(
        tmp_path / "set_1.csv", (reference, f"by {CARD_NUMBER}"), (line("l2"), OWN), (line("l3", CARD_NUMBER), "")
    )
    outcome = ingest(tenant, file)
    first, second = staged(tenant)
    assert (first["provider_reference"], first["gross_minor"]) == (CARD_NUMBER, 1000)
    assert json.loads(first["raw"]) == {"note": "by 411111******1111"}
    assert json.loads(second["raw"]) == {"note": "DE****************3000"}
    (refused,) = staged(tenant, "quarantine")
    assert CARD_NUMBER not in refused["raw"] + refused["reason"]
    assert "411111******1111" in refused["raw"]
    assert (tenant.paths.landing / outcome.files[0].sha256).read_bytes() == file.read_bytes()
    assert notes(tenant)["card numbers masked"] >= 2
    assert notes(tenant)["IBANs masked"] == 1


def test_a_column_named_by_a_number_and_raised_digits_are_masked_too(tenant: Tenant, tmp_path: Path) -> None:
    """The name stood in `files`, in the event and in the answer as it came."""
    says(tenant, "card_numbers: mask\n")
    raised = CARD_NUMBER.replace("1", "¹")
    file = tmp_path / "set_1.csv"
    file.write_text(f"{HEADER},{CARD_NUMBER},note\n{line('l1')},x,{raised}\n", encoding="utf-8")
    outcome = ingest(tenant, file)
    assert outcome.files[0].unknown_columns == ("411111******1111", "note")
    assert json.loads(staged(tenant)[0]["raw"]) == {"411111******1111": "x", "note": "4¹¹¹¹¹******¹¹¹¹"}
    with tenant.reading() as connection:
        (row,) = registered.staged_files(connection, "settlement")
        (entry,) = event_log.entries(connection)
    assert CARD_NUMBER not in row.unknown_columns + str(entry.content)


def test_what_refuses_a_file_quotes_no_number(tenant: Tenant, tmp_path: Path) -> None:
    says(tenant, "card_numbers: mask\n")
    file = tmp_path / "set_1.jsonl"
    file.write_text(f"{CARD_NUMBER}\n", encoding="utf-8")
    with pytest.raises(InputRejectedError, match=r"JSON number 411111\*{6}1111, not an object"):
        ingest(tenant, file)


def test_a_file_is_staged_again_as_it_was_masked_whatever_is_said_today(tenant: Tenant, tmp_path: Path) -> None:
    says(tenant, "card_numbers: mask\n")
    ingest(tenant, with_note(tmp_path / "set_1.csv", (line("l1"), f"{CARD_NUMBER} {OWN}")))
    says(tenant, "ibans: mask\n")
    with tenant.reading() as connection:
        (file,) = registered.staged_files(connection, "settlement")
    assert file.staged_path is not None
    before = (tenant.paths.root / file.staged_path).read_bytes()
    again = restage(tenant, tenant.paths.landing / file.sha256, file, [], list(notes(tenant)))
    assert again == file
    assert (tenant.paths.root / file.staged_path).read_bytes() == before
    assert OWN in pl.read_parquet(tenant.paths.root / file.staged_path)["raw"][0]


def test_a_file_with_a_refused_number_leaves_nothing_behind(tenant: Tenant, tmp_path: Path) -> None:
    says(tenant, "card_numbers: refuse\n")
    chance = with_note(
        tmp_path / "set_0.csv", (line("l0", reference=CARD_NUMBER), ""), (line("l1", "x", CARD_NUMBER), "")
    )
    ingest(tenant, chance)
    (refused,) = staged(tenant, "quarantine")
    assert json.loads(refused["raw"])["provider_reference"] == CARD_NUMBER, "a reference, also of a refused row"
    file = with_note(tmp_path / "set_1.csv", (line("l1"), ""), (line("l2"), CARD_NUMBER))
    with pytest.raises(InputRejectedError, match=r"set_1\.csv: row 2 holds one of the card numbers in raw") as raised:
        ingest(tenant, file)
    assert CARD_NUMBER not in str(raised.value)
    assert [row["line_id"] for row in staged(tenant)] == ["l0"]
    assert len([path for path in tenant.paths.landing.rglob("*") if path.is_file()]) == 1
    assert ingest(tenant, csv(tmp_path / "set_2.csv", line("l1", reference=CARD_NUMBER))).files[0].staged == 1


def test_without_a_word_everything_is_kept_and_a_wrong_word_is_named(tenant: Tenant, tmp_path: Path) -> None:
    ingest(tenant, with_note(tmp_path / "set_1.csv", (line("l1"), CARD_NUMBER)))
    assert json.loads(staged(tenant)[0]["raw"]) == {"note": CARD_NUMBER}
    says(tenant, "card_numbers: hide\n")
    with pytest.raises(ConfigurationError, match=r"privacy\.yml: card_numbers: input should be 'keep', 'mask' or"):
        load_privacy(tenant.paths)
    says(tenant, "cards: mask\n")
    with pytest.raises(ConfigurationError, match="unknown key 'cards'; allowed are card_numbers, ibans"):
        load_privacy(tenant.paths)
