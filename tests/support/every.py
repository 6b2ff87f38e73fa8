"""One test for many cases of one claim: every case is checked, and those that fail are named together.

For cases that share all they need and change nothing; others are parameters. Does not belong here: any claim.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest

T = TypeVar("T")


def check_every(cases: Iterable[T], check: Callable[[T], object], name: Callable[[T], object] = repr) -> None:
    """Call `check` with each case; fails with the name and reason of every case for which it raises, or without any."""
    found = list(cases)
    assert found, "there is no case"
    failed = []
    for case in found:
        try:
            check(case)
        except (Exception, pytest.fail.Exception) as reason:
            failed.append(f"{name(case)}: {type(reason).__name__}: {reason}")
    if failed:
        pytest.fail(f"{len(failed)} of {len(found)} cases:\n" + "\n".join(failed), pytrace=False)
