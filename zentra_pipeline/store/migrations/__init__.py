"""How the operational store's schema came to be, one module a step; today's tables stand in `store.models`."""

NEWEST_REVISION = "0009"
