"""Recognizes an operational store that is older than what was published from it, as one restored from a backup.

Does not belong here: saying what heals it (upkeep), publishing (lake).
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from zentra_pipeline.errors import VerificationError
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import runs as run_store
from zentra_pipeline.store.engine import operational_store, reading

_REVISION: Final = re.compile(rb'\{"revision": ([0-9]+)[,}]')
_BEGINNING: Final = 64


@dataclass(frozen=True)
class Newer:
    """A run of which readers find a revision that the store does not know; `known` is the store's, 0 for none."""

    run_id: str
    revision: int
    known: int


def newer_than_store(paths: TenantPaths) -> list[Newer]:
    """The published runs that are ahead of the store, by id.

    Pointers are read before the store, which is written before them: a run that is published meanwhile is not ahead.
    """
    published = {path.stem: _revision(path) for path in (paths.lake / "_current").glob("*.json")}
    with reading(operational_store(paths)) as connection:
        known = {run.run_id: run.revision for run in run_store.list_runs(connection)}
    found = (Newer(run_id, number, known.get(run_id, 0)) for run_id, number in sorted(published.items()))
    return [run for run in found if run.revision > run.known]


def require_newest(paths: TenantPaths) -> None:
    """VerificationError where the store lacks what was published: it is out of date."""
    newer = newer_than_store(paths)
    if newer:
        first = newer[0]
        more = f" and {len(newer) - 1:,} more" if len(newer) > 1 else ""
        raise VerificationError(
            f"{paths.operational_store.name} of tenant {paths.root.name} is older than what was published: it knows "
            f"revision {first.known} of run {first.run_id}{more}, and revision {first.revision} was published; restore "
            "its newest backup, or have the home examined (doctor) for what brings back the rest"
        )


def _revision(path: Path) -> int:
    """The revision a pointer names; 0 where it cannot be read, which the doctor reports."""
    try:
        with path.open("rb") as file:
            found = _REVISION.match(file.read(_BEGINNING))
        content = int(found[1]) if found else json.loads(path.read_bytes())["revision"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return content if isinstance(content, int) else 0
