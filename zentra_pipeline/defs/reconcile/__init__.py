"""Assets and checks of the reconciliation itself."""
