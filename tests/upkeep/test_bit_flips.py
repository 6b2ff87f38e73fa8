"""Every flipped bit of `ops.db` that changes a row operators answer for is found by `zentra doctor`."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.scenarios.world import TENANT
from tests.upkeep.conftest import Copy
from zentra_pipeline.store import digests, models
from zentra_pipeline.upkeep import doctor, store_checks
from zentra_pipeline.upkeep.finding import ERROR

pytestmark = pytest.mark.ci

TABLES = [table for table in models.metadata.sorted_tables if digests.COLUMN in table.columns]


def content(database: Path) -> object:
    """What the covered tables hold, or that they cannot be read."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as connection:
            return [sorted(map(repr, connection.execute(f'select * from "{table.name}"'))) for table in TABLES]
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return repr(error)


def flipped(original: bytes, chosen: random.Random) -> bytes:
    changed = bytearray(original)
    changed[chosen.randrange(len(changed))] ^= 1 << chosen.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("flips", [12, pytest.param(400, marks=pytest.mark.slow)])
def test_a_flipped_bit_in_what_a_row_says_is_found(copy: Copy, monkeypatch: pytest.MonkeyPatch, flips: int) -> None:
    """Only the store's own checks have a say here; bundles, lake and catalog would find some of it as well."""
    checks = {name: check for name, check in doctor.CHECKS.items() if check.__module__ == store_checks.__name__}
    monkeypatch.setattr(doctor, "CHECKS", checks)
    database = copy.paths.operational_store
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    assert {finding.severity for found in doctor.examine(copy.home, TENANT) for finding in found.findings} <= {"note"}
    original, known = database.read_bytes(), content(database)
    chosen, changing, missed = random.Random(flips), 0, []  # noqa: S311 - the same flips each time
    while changing < flips:
        damaged = flipped(original, chosen)
        for log in copy.paths.root.glob("ops.db-*"):
            log.unlink()
        database.write_bytes(damaged)
        if content(database) == known:
            continue
        changing += 1
        found = [finding for each in doctor.examine(copy.home, TENANT) for finding in each.findings]
        if ERROR not in {finding.severity for finding in found}:
            missed.append(next(place for place in range(len(original)) if original[place] != damaged[place]))
    assert missed == []
