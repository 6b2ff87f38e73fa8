"""Operator review: what people may decide about exceptions, what it makes of them, and what a run takes from it."""
