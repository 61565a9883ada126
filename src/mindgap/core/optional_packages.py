"""Packages that only some verbs need."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from mindgap.core.errors import CapacityError


def require_packages(names: Sequence[str], *, extra: str, purpose: str) -> None:
    """Checks that packages are installed; they are imported where they are used.

    Raises:
        CapacityError: one is not; the line says which extra brings it.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise CapacityError(f"{purpose} needs {', '.join(missing)}, not installed here; pip install 'mindgap[{extra}]'")
