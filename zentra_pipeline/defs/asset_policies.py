"""What all assets have in common: who owns them, and by when a window's should be there."""

from datetime import timedelta
from typing import Final

import dagster as dg

OWNERS: Final = ["team:data", "team:finance"]
# A window a business day: from Friday's to Monday's run there are three days, and a holiday makes them four.
FRESHNESS: Final = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(days=5), warn_window=timedelta(days=3, hours=12)
)
