"""The `reconciliation.*` event log: what happened, recorded once, as CloudEvents."""
