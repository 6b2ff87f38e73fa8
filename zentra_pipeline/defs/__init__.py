"""Dagster objects, by step; every module below is imported when the code location loads."""
