"""Conformance kits: inherit one, name your plug-in, and its contract is tested.

    from mindgap.testing import BlockConformance

    class TestMyBlock(BlockConformance):
        @pytest.fixture
        def name(self):
            return "my_block"

A kit ``<Kind>Conformance`` lives in ``mindgap.testing.<kind>``.
"""

from __future__ import annotations

import importlib

_SUFFIX = "Conformance"


def __getattr__(name: str) -> type:
    if not name.endswith(_SUFFIX) or name == _SUFFIX:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{name.removesuffix(_SUFFIX).lower()}")
    except ModuleNotFoundError:
        raise AttributeError(f"module {__name__!r} has no kit {name!r}") from None
    return getattr(module, name)
