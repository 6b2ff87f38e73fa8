"""The operational store: every fact that is recorded, in SQLite or PostgreSQL. What facts mean does not belong here."""
