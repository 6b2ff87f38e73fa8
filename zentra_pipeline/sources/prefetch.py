"""Lets a reader work one frame ahead of what is done with its frames; it knows nothing about frames."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
_END = object()


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items in order, the next one being made in another thread while one is used; errors are raised in turn."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader") as thread:
        coming = thread.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, items, _END)
            yield item  # type: ignore[misc]
