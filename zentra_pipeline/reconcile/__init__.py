"""One reconciliation run, from what it reads to the revision it publishes; Dagster does not belong here."""
