"""Zentra: payment reconciliation that keeps the story intact."""

__version__ = "0.1.0"
