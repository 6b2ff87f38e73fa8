"""Which reader reads which format; adding a format is adding its name here.

A reader is named by its module, imported only when it is used. Does not belong here: reading.
"""

from collections.abc import Mapping
from types import MappingProxyType

SETTLEMENT_READERS: Mapping[str, str] = MappingProxyType(
    {
        "canonical": "zentra_pipeline.sources.canonical",
        "stripe": "zentra_pipeline.sources.stripe",
    }
)
"""`settlement_format` → module with `read_settlement`."""

CALLBACK_READERS: Mapping[str, str] = MappingProxyType(
    {
        "canonical": "zentra_pipeline.sources.canonical",
        "stripe": "zentra_pipeline.sources.stripe",
    }
)
"""`callback_format` → module with `read_callbacks`."""
