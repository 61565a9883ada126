"""When a group is small; apart from groups, as the command line reads it without NumPy."""

from __future__ import annotations

SMALL_GROUP = 30
"""Images under which a group is called small: one image more or less moves its rates by over 3 points."""
