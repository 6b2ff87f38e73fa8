"""Plays a bank's world to the engine, day by day, and compares what it publishes with the answer key.

Everything compared is text. Does not belong here: making worlds; nothing of the key is read while the engine runs.
"""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, Final

from zentra_pipeline.errors import UsageError
from zentra_pipeline.identifiers import bank_scope
from zentra_pipeline.ingest.files import ingest_files
from zentra_pipeline.published import lake
from zentra_pipeline.reconcile import run_requests
from zentra_pipeline.reconcile.run_requests import RunRequest
from zentra_pipeline.settings import Home
from zentra_pipeline.simulation.bank.write import KEY_TABLES
from zentra_pipeline.simulation.replay import TENANT, Progress, Reconcile, Row
from zentra_pipeline.simulation.scoring import Score, compare
from zentra_pipeline.tenants import tenancy
from zentra_pipeline.tenants.tenant import Tenant

OWNER: Final = "finance_ops"
_PLAN: Final = "plan.json"
_ASKED: Final[Mapping[str, str]] = {
    "matches": """
        select matches.rule, matches.status, matches.fee_minor,
            string_agg(distinct case when leg_type = 'bank_line' then split_part(leg_id, ':', 2) end, ' '
                order by case when leg_type = 'bank_line' then split_part(leg_id, ':', 2) end) as lines,
            string_agg(distinct payouts.line_id, ' ' order by payouts.line_id) as payouts
        from bank_matches as matches
        join bank_match_legs as legs on matches.match_id = legs.match_id and matches.run_id = legs.run_id
        left join payouts on legs.leg_id = payouts.payout_id
        group by matches.match_id, matches.run_id, matches.rule, matches.status, matches.fee_minor
        order by all""",
    "exceptions": """
        select exception_type, exceptions.status <> 'resolved' as is_open,
            coalesce(payouts.line_id, nullif(split_part(subject_id, ':', 2), ''), subject_id) as subject
        from exceptions left join payouts on exceptions.subject_id = payouts.payout_id
        where exceptions.provider like 'bank:%' order by all""",
    "payouts": "select line_id, status from payouts order by all",
    "balances": """
        select currency, gap_minor, lines_minor, closing_minor from account_balances
        qualify ledger_window = max(ledger_window) over () order by all""",
    "controls": """
        select 'conservation of ' || side || ' in ' || ledger_window as control from conservation
        where provider like 'bank:%' and (rows_unexplained <> 0 or amount_unexplained_minor <> 0)
        union all
        select 'cash in transit in ' || ledger_window from cash_in_transit where difference_minor <> 0
        union all
        select 'account balances in ' || ledger_window from account_balances where difference_minor <> 0
        union all
        select 'suggestion that confirms itself in ' || ledger_window from bank_matches
        where rule in ('bank_sum', 'amount_date') and status = 'confirmed' and method in ('exact', 'tolerance')
        order by all""",
}
_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "matches": ("rule", "status", "lines", "payouts", "fee_minor"),
    "exceptions": ("exception_type", "subject", "is_open"),
    "payouts": ("line_id", "status"),
    "balances": ("currency", "gap_minor", "lines_minor", "closing_minor"),
}
_SUBJECTS: Final[Mapping[str, Sequence[str]]] = {
    "matches": ("lines", "payouts"),
    "exceptions": ("subject",),
    "payouts": ("line_id",),
    "balances": ("currency",),
}


def is_bank_world(folder: Path) -> bool:
    """Whether a folder holds a bank's world."""
    return (folder / _PLAN).is_file()


def replay(
    folder: Path,
    home: Home,
    reconcile: Reconcile,
    progress: Progress,
    *,
    in_order: Callable[[list[Path]], list[Path]] = list,
) -> dict[str, list[Row]]:
    """Run a bank's world in a home without the tenant `simulation`; what is published of it, by table, as text.

    `in_order`: the order in which the bank's files of a day come.
    """
    plan = json.loads((folder / _PLAN).read_text(encoding="utf-8"))
    tenancy.init_home(home)
    if TENANT in tenancy.names(home):
        raise UsageError(f"{home.root} already has a tenant {TENANT!r}: name a fresh home")
    tenant = tenancy.add_tenant(home, TENANT, datetime.now(UTC))
    tenant.paths.banks.mkdir(parents=True, exist_ok=True)
    (tenant.paths.providers / f"{plan['provider']}.yml").write_bytes((folder / "profile.yml").read_bytes())
    (tenant.paths.banks / f"{plan['bank']}.yml").write_bytes((folder / "bank.yml").read_bytes())
    for step in plan["steps"]:
        progress(step["ledger_window"], "ingesting and reconciling")
        _play(tenant, folder, plan, step, reconcile, in_order)
    return {name: _read(tenant, sql) for name, sql in _ASKED.items()}


def score(folder: Path, published: Mapping[str, Sequence[Row]]) -> Score:
    """Compare what the runs published with the answer key of the world."""
    tallies = [compare("failed controls", (), published["controls"], ("control",), ("control",))]
    for name in KEY_TABLES:
        with (folder / "answer_key" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            key = [dict(row) for row in csv.DictReader(file)]
        tallies.append(compare(name, key, published[name], _COLUMNS[name], _SUBJECTS[name]))
    return Score(tuple(tallies))


def _play(
    tenant: Tenant,
    folder: Path,
    plan: Mapping[str, Any],
    step: Mapping[str, Any],
    reconcile: Reconcile,
    in_order: Callable[[list[Path]], list[Path]],
) -> None:
    """What comes with a day, the provider's run where it settled anything, and the run of the account."""
    day = date.fromisoformat(step["ledger_window"])
    inputs = folder / "inputs" / day.isoformat()
    as_of = datetime.combine(day, time(23, 59), UTC)
    for kind in ("ledger", "settlement"):
        if step[kind] is not None:
            _ingest(tenant, plan["provider"], kind, inputs / step[kind], "canonical", as_of)
    for file in in_order([inputs / name for name in step["statements"]]):
        _ingest(tenant, plan["bank"], "bank_statement", file, "camt053", as_of)
    if step["settlement"] is not None:
        stem = Path(step["settlement"]).stem
        reconcile(tenant, RunRequest(plan["provider"], stem, day, OWNER, as_of, "simulation", is_confirmed=True))
    account = run_requests.of_account(plan["account"], day, OWNER, as_of, "simulation", is_confirmed=True)
    assert account.provider == bank_scope(plan["account"])
    reconcile(tenant, account)


def _ingest(tenant: Tenant, whose: str, kind: str, file: Path, form: str, now: datetime) -> None:
    ingest_files(tenant, provider=whose, kind=kind, files=[file], file_id=None, format=form, now=now)


def _read(tenant: Tenant, sql: str) -> list[Row]:
    answer = lake.query(tenant.paths, sql)
    return [
        {name: "" if value is None else str(value) for name, value in zip(answer.columns, row, strict=True)}
        for row in answer.rows
    ]
