"""How the operational store's schema came to be, one module a step; today's tables are in `store.models`."""

NEWEST_REVISION = "0013"
