"""Shipped business stories: read from their files, played in a home, and compared with what must be published."""
