"""Every public bank file through a home: ingested as a statement of its bank, then a run of each account it is of."""

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.world import NOW, OWNER
from tests.sources.bank_expectations import SAMPLES, expected, needs_samples
from zentra_pipeline import vocabulary
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile import run_requests, window_run
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

FORMATS = {"camt": "camt053", "mt940": "mt940", "bai2": "bai2", "ofx": "ofx"}
# Words of a refusal: the figures that disagree, or what the file is instead of a whole statement.
WORDS = (
    *("but the closing balance is", "are in different currencies", "NbOfNtries is", ":90D: states", ":90C: states"),
    *("closing balance :62F:", "names no account", "is not an account statement", "no bank or card statement is in it"),
    *("is a zip archive", "holds no statement", "is not a balance such as", "names a currency", "as an MT940 has"),
    *("currency: blank", "comes after the closing balance"),
)


def ingested(tenant: Tenant) -> tuple[int, list[str]]:
    """How many files a home takes, and why not the others."""
    taken, refusals = 0, []
    for bank, form in FORMATS.items():
        (tenant.paths.banks / f"{bank}.yml").write_text(f"format: {form}\n", encoding="utf-8")
        for place, path in enumerate(sorted(path for path in (SAMPLES / bank).rglob("*") if path.is_file())):
            try:
                (outcome,) = ingest_files(
                    tenant,
                    provider=bank,
                    kind="bank_statement",
                    files=[path],
                    file_id=f"{bank}_{place}",
                    format=form,
                    now=NOW,
                ).files
            except InputRejectedError as refused:
                refusals.append(str(refused))
                continue
            assert outcome.quarantined == 0, (path, outcome.reasons)
            taken += 1
    return taken, refusals


def run(tenant: Tenant, account: str, day: date) -> None:
    as_of = datetime.combine(day, time(23, 59), UTC)
    request = run_requests.of_account(account, day, OWNER, as_of, "test", is_confirmed=True)
    window_run.run_window(tenant, request)


@needs_samples
@pytest.mark.slow
def test_the_balances_of_every_account_tie_or_its_files_are_refused_with_their_figures(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "home")
    tenancy.init_home(home)
    tenant = tenancy.add_tenant(home, "acme", NOW)
    tenant.paths.banks.mkdir(parents=True, exist_ok=True)
    taken, refusals = ingested(tenant)
    assert [said for said in refusals if not any(words in said for words in WORDS)] == []
    assert (taken, len(refusals)) == (85, 90)

    def asked(sql: str) -> list[tuple[Any, ...]]:
        return lake.query(tenant.paths, sql).rows

    proved = asked(
        """select account_id, currency, max(greatest(from_day, to_day)) from bank_statements
        where statement_type = 'statement' and opening_minor is not null and closing_minor is not null
        group by account_id, currency order by account_id, currency"""
    )
    accounts = sorted({account for account, *_ in proved})
    profile = {"format": "mt940", "accounts": accounts}
    (tenant.paths.banks / "mt940.yml").write_text(json.dumps(profile), encoding="utf-8")
    for account in accounts:
        run(tenant, account, max(day for named, _, day in proved if named == account))

    assert asked("select * from account_balances where difference_minor <> 0") == []
    assert asked("select * from conservation where rows_unexplained <> 0 or amount_unexplained_minor <> 0") == []
    found = {
        (str(provider).removeprefix("bank:"), currency): tuple(figures)
        for provider, currency, *figures in asked(
            """select runs.provider, currency, statements, opening_minor, closing_minor, gap_minor, mismatch_minor
            from account_balances join runs on account_balances.run_id = runs.run_id"""
        )
    }
    assert set(found) == {(account, currency) for account, currency, *_ in proved}
    # A BAI2 report whose details do not lead to its balance, as ingest noted, and an account of which days are lacking.
    assert {key: figures[3:] for key, figures in found.items() if any(figures[3:])} == {
        ("77777777", "GBP"): (0, -1),
        ("87052000-123456789", "EUR"): (-15457, 0),
    }
    assert asked(
        """select replace(provider, 'bank:', ''), exception_type from exceptions
        where exception_type <> 'duplicate_statement' order by all"""
    ) == [("77777777", "statement_balance_mismatch"), ("87052000-123456789", "statement_gap")]
    assert agreeing(found) == 33


def agreeing(found: Mapping[tuple[str, str], tuple[int, ...]]) -> int:
    """How many accounts of one statement have the balances that the independent reading has of it."""
    agreed = 0
    read: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for folder in ("camt", "mt940"):
        for _, _, rows in expected(folder):
            for row in rows:
                if row["ties"] == "True" and row["opening"] and row["closing"]:
                    read[row["account"].replace("/", "-")].add((row["opening"], row["closing"]))
    for (account, currency), (statements, opening, closing, *_) in found.items():
        if statements == 1 and len(read[account]) == 1:
            (said,) = read[account]
            exponent = vocabulary.exponent(currency)
            assert (opening, closing) == tuple(int(Decimal(each).scaleb(exponent)) for each in said), account
            agreed += 1
    return agreed
