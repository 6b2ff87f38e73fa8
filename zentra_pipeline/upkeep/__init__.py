"""Upkeep of a home: remaking what is derived, re-performing a sealed run, and finding what is out of step."""
