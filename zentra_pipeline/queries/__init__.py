"""Queries of users: each runs in a process of its own without rights. Which tables there are is in published."""
