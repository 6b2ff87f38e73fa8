"""dbt's `adapter` as far as sqlfluff needs it to render the models without a database; nothing else belongs here."""

from collections.abc import Callable

from jinja2 import pass_context
from jinja2.runtime import Context


@pass_context
def dispatch(context: Context, macro: str, package: str) -> Callable[..., str]:
    """The default implementation of a dispatched macro, as DuckDB gets it."""
    del package
    return context.resolve(f"default__{macro}")
