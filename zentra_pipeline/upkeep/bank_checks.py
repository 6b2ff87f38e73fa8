"""Checks of a tenant's banks: that their profiles can be read, and that payouts go to accounts somebody knows of.

Nothing is changed. Does not belong here: whether statements follow each other (a bank run says it).
"""

from collections.abc import Iterator
from contextlib import suppress

from zentra_pipeline import money
from zentra_pipeline.config.bank_profile import KIND, bank_names, load_bank
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.published import lake
from zentra_pipeline.upkeep.finding import ERROR, NOTE, Finding, command
from zentra_pipeline.upkeep.records import Records


def check_banks(records: Records) -> Iterator[Finding]:
    """Profiles of banks read as they are, every bank with files has one, and payouts go to accounts that are known."""
    accounts = set[str]()
    for bank in bank_names(records.paths):
        try:
            accounts |= set(load_bank(records.paths, bank).accounts)
        except ZentraError as cause:
            yield Finding("banks", f"banks/{bank}.yml", ERROR, str(cause), "correct the profile")
    named = {file.provider: file.format for file in records.files if file.kind == KIND}
    for bank in sorted(named.keys() - set(bank_names(records.paths))):
        remedy = command("bank", "add", bank, "--like", named[bank].partition(":")[0], "--tenant", records.tenant.name)
        what = "its statements are here and its profile is gone: no further statement of it can be read"
        yield Finding("banks", f"banks/{bank}.yml", NOTE, what, remedy)
    yield from _unknown_accounts(records, accounts, bool(named))
    yield from _without_account(records)


def _unknown_accounts(records: Records, accounts: set[str], has_statements: bool) -> Iterator[Finding]:
    wanted: dict[str, list[str]] = {}
    for path in sorted(records.paths.providers.glob("*.yml")):
        with suppress(ZentraError):  # a provider's profile is another command's to complain of
            for account in load_profile(records.paths, path.stem).payout_account.values():
                wanted.setdefault(account, []).append(path.stem)
    if not wanted:
        return
    if has_statements:
        accounts |= {
            row[0] for row in lake.query(records.paths, "select distinct account_id from bank_statements").rows
        }
    for account, providers in sorted(wanted.items()):
        if account not in accounts:
            what = f"payouts of {', '.join(providers)} go to account {account}, of which no bank has a statement"
            remedy = "correct payout_account, or ingest a statement of that account's bank"
            yield Finding("banks", f"providers/{providers[0]}.yml", NOTE, what, remedy)


def _without_account(records: Records) -> Iterator[Finding]:
    """Payouts in currencies for which the profile of their provider, which names accounts of others, has none."""
    naming = set[str]()
    for path in sorted(records.paths.providers.glob("*.yml")):
        with suppress(ZentraError):
            if load_profile(records.paths, path.stem).payout_account:
                naming.add(path.stem)
    if not naming:
        return
    found = lake.query(
        records.paths,
        "select provider, currency, count(*), sum(amount_minor) from payouts where status_reason = 'no_payout_account' "
        "and status in ('expected', 'in_transit') group by provider, currency order by provider, currency",
    )
    for provider, currency, payouts, minor in found.rows:
        if provider in naming:
            what = (
                f"{payouts} {'payout' if payouts == 1 else 'payouts'} of {provider} in {currency}, "
                f"{money.amount_text(int(minor), currency)}, go to no account: no day of a bank account looks for them"
            )
            remedy = f"name the account of {currency} in payout_account, and run their windows again"
            yield Finding("banks", f"providers/{provider}.yml", NOTE, what, remedy)
