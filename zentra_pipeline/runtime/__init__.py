"""Intents: money asked to move, from the first request to sealed evidence."""
