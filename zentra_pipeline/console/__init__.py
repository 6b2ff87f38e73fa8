"""The review console: pages above the use cases that API and command line have. No business rule is here."""
