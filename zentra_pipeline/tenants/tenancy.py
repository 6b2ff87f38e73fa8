"""Makes the home and its tenants, and finds them; what a tenant's files hold does not belong here."""

from datetime import datetime

from sqlalchemy import insert, select

from zentra_pipeline.errors import UsageError
from zentra_pipeline.instants import instant_text
from zentra_pipeline.settings import HOME_VARIABLE, Home, TenantPaths
from zentra_pipeline.store import configuration, control
from zentra_pipeline.store.engine import control_store, operational_store, reading
from zentra_pipeline.store.place import control_place
from zentra_pipeline.tenants.tenant import Tenant


def init_home(home: Home) -> bool:
    """Make the home where it is missing, and say whether it was; doing it again changes nothing.

    UsageError where no folder can be made, because a file has its name or that of a folder above it, say.
    """
    is_new = not is_initialised(home)
    try:
        home.tenants.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, FileNotFoundError) as cause:
        raise UsageError(
            f"{home.root} cannot be made a folder ({cause.strerror}): name another place with --home"
        ) from cause
    if is_new:  # what is in it is nobody else's on this machine, whatever the umask
        home.root.chmod(0o700)
    control_store(home)
    return is_new


def is_initialised(home: Home) -> bool:
    """Whether `init_home` has made this home."""
    return control_place(home).is_made


def add_tenant(home: Home, name: str, now: datetime) -> Tenant:
    """Make a tenant's folders, operational store and starter configuration; doing it again changes nothing.

    The row in the control store comes last, so a tenant either is complete or does not exist. A name that another
    tenant has but for letter case, `-` and `_` is refused: they would share a folder where file systems disregard
    case, and everywhere the variables that hold secrets of callbacks. So is one that begins with another's name and
    `__`, or the reverse: provider `b__c` of tenant `a` would share its variable with provider `c` of tenant `a__b`.
    """
    tenant = Tenant.of(home, name)
    require_home(home)
    _require_distinct(home, name)
    paths = tenant.paths
    for folder in (paths.providers, paths.landing, paths.staged, paths.lake, paths.scratch, paths.locks):
        folder.mkdir(parents=True, exist_ok=True)
    _write_if_missing(paths)
    operational_store(paths)
    configuration.sync(paths)
    with control_store(home).begin() as connection:
        if name not in connection.execute(select(control.tenants.c.tenant_id)).scalars():
            connection.execute(insert(control.tenants).values(tenant_id=name, created_at=instant_text(now)))
    if not paths.catalog.exists():
        from zentra_pipeline.published import lake

        lake.refresh(paths)
    return tenant


def _require_distinct(home: Home, name: str) -> None:
    known = names(home)
    for other in known if name not in known else ():
        mine, theirs = _folded(name), _folded(other)
        if mine == theirs:
            raise UsageError(
                f"tenant {name!r} is not allowed beside {other!r}: "
                "use a name that differs in more than letter case, '-' and '_'"
            )
        if mine.startswith(f"{theirs}__") or theirs.startswith(f"{mine}__"):
            raise UsageError(
                f"tenant {name!r} is not allowed beside {other!r}: variables with secrets have '__' between tenant and "
                "provider, and could be of either; use a name without it"
            )


def _folded(name: str) -> str:
    return name.lower().replace("-", "_")


def require_tenant(home: Home, name: str) -> Tenant:
    """A tenant that exists; UsageError saying what to do when it, or the home, does not."""
    tenant = Tenant.of(home, name)
    require_home(home)
    if name not in names(home):
        raise UsageError(f"there is no tenant {name!r} in {home.root}: add it with `zentra tenant add {name}`")
    configuration.sync(tenant.paths)
    return tenant


def names(home: Home) -> list[str]:
    """Names of the home's tenants in alphabetical order, capitals first on any database."""
    require_home(home)
    with reading(control_store(home)) as connection:
        return sorted(connection.execute(select(control.tenants.c.tenant_id)).scalars())


def tenants(home: Home) -> list[Tenant]:
    """The home's tenants, in the order of `names`."""
    return [Tenant.of(home, name) for name in names(home)]


def require_home(home: Home) -> None:
    """UsageError saying what to do where there is no home."""
    if not is_initialised(home):
        raise UsageError(
            f"{home.root} is not a Zentra home: make it with `zentra init`, "
            f"or give yours with --home or {HOME_VARIABLE}"
        )


def _write_if_missing(paths: TenantPaths) -> None:
    try:
        with paths.routing.open("x", encoding="utf-8") as routing:
            routing.write(_STARTER_ROUTING)
    except FileExistsError:
        return


_STARTER_ROUTING = """\
# Who looks at which exception. Rules are read from top to bottom; each of lane, owner and sla_business_days is taken
# from the first rule that matches and gives it. Where none does, the exception type's own lane and days apply, and
# the owner of the run.
#
# A rule matches when all of its conditions hold: exception_type, provider, currency, min_amount_minor and
# max_amount_minor (amounts in minor units, signs left out). Example:
#
# rules:
#   - exception_type: amount_mismatch
#     currency: USD
#     min_amount_minor: 1000000
#     lane: settlement_breaks
#     owner: treasury
#     sla_business_days: 1
#
# Escalation rules take the same conditions and say whose an exception becomes once it is overdue: after_business_days
# past its due date (0: at it), lane, owner. Example:
#
# escalation:
#   - after_business_days: 2
#     lane: escalated
#     owner: head_of_finance
"""
