"""Worlds of a bank account: payouts of a provider, the bank's statements of them, and the answer key of both."""
