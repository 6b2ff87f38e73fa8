"""The `reconciliation.*` event log: what happened, told once, as CloudEvents."""
