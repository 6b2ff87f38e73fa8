"""Finds likely typing mistakes in a request, with the nearest known name; asking about it is for surfaces."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from zentra_pipeline import identifiers
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.errors import UnconfirmedError
from zentra_pipeline.ledger_windows import window_of
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import files as file_store
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.tenants.tenant import Tenant


def check_provider(tenant: Tenant, provider: str) -> None:
    """UnconfirmedError for a new provider whose name is one letter, or case and punctuation, from a known one."""
    known = known_providers(tenant)
    if provider in known:
        return
    nearest = next((name for name in sorted(known) if _is_near(provider, name)), None)
    if nearest is not None:
        raise UnconfirmedError(
            f"there is no provider {provider!r} yet, and {nearest!r} is known: do you mean {nearest}?"
        )


def check_window(paths: TenantPaths, provider: str, window: date, now: datetime) -> None:
    """UnconfirmedError for a window that begins after tomorrow, by the clock of the provider's ledger."""
    profile = load_profile(paths, provider)
    today = window_of(now, profile.timezone, profile.window_cutoff)
    if window > today + timedelta(days=1):
        raise UnconfirmedError(f"window {window} begins after tomorrow; today's is {today}: do you mean that one?")


def known_providers(tenant: Tenant) -> set[str]:
    """Providers with a profile, with files, or with runs."""
    found = {path.stem for path in tenant.paths.providers.glob("*.yml")}
    with tenant.reading() as connection:
        files = file_store.registered_files(connection)
        found |= {file.provider for file in files if file.kind in identifiers.PROVIDER_KINDS}
        found |= {run.provider for run in run_store.list_runs(connection)}
    return found


def _is_near(new: str, known: str) -> bool:
    return _plain(new) == _plain(known) or _is_one_letter_apart(new.casefold(), known.casefold())


def _plain(name: str) -> Iterable[str]:
    return [letter for letter in name.casefold() if letter.isalnum()]


def _is_one_letter_apart(one: str, other: str) -> bool:
    """Whether one letter put in, left out or replaced makes one of the names the other."""
    shorter, longer = sorted((one, other), key=len)
    if len(longer) - len(shorter) > 1:
        return False
    same = next((place for place, letter in enumerate(shorter) if letter != longer[place]), len(shorter))
    return shorter[same + (len(shorter) == len(longer)) :] == longer[same + 1 :]
