"""Channels of a network: what they encode, and how those that encode who is in the picture are removed."""
