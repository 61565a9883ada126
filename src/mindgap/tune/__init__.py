"""Heads on a trained backbone, tuned for several aims at once."""
