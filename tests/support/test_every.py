"""A claim about many cases names all that fail, and is none without a case."""

import pytest

from tests.support.every import check_every


def test_every_case_that_fails_is_named_and_no_other() -> None:
    def is_even(number: int) -> None:
        assert number % 2 == 0, f"{number} is odd"

    check_every([2, 4], is_even)
    with pytest.raises(pytest.fail.Exception, match=r"(?s)^2 of 3 cases:\n1: \w+: 1 is odd.*\n3: \w+: 3 is odd"):
        check_every([1, 2, 3], is_even)
    with pytest.raises(AssertionError, match="there is no case"):
        check_every([], is_even)
