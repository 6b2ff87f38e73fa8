"""Readers of files, one module a format: bytes in, rows of text out. What a row must be is in contracts."""
