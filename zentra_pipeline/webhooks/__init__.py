"""Outbound webhooks: events of the log, delivered to endpoints by Standard Webhooks; no financial table reads of it."""
