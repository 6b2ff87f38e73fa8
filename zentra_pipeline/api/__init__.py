"""The HTTP API: one module a noun. No accounting logic belongs here."""
