"""Searching architectures and batch ratios together, on a ledger that loses nothing."""
