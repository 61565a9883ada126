"""Every verb of the command line as a function: keywords are the long options with ``_`` for ``-``.

    from mindgap.api import prepare, search

A verb returns the record that its run folder holds. Importing this module is cheap; a verb's own imports happen when it
is first looked up.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mindgap.workflows.audit import audit
    from mindgap.workflows.compare import compare
    from mindgap.workflows.explain import explain
    from mindgap.workflows.export import export
    from mindgap.workflows.plugins import list_plugins
    from mindgap.workflows.predict import predict
    from mindgap.workflows.prepare import prepare
    from mindgap.workflows.prune import prune
    from mindgap.workflows.report import report
    from mindgap.workflows.reproduce import reproduce
    from mindgap.workflows.search import search, status
    from mindgap.workflows.synth import synth
    from mindgap.workflows.tone import tone
    from mindgap.workflows.train import train
    from mindgap.workflows.tune import tune
    from mindgap.workflows.worker import worker

__all__ = [
    "audit",
    "compare",
    "explain",
    "export",
    "list_plugins",
    "predict",
    "prepare",
    "prune",
    "report",
    "reproduce",
    "search",
    "status",
    "synth",
    "tone",
    "train",
    "tune",
    "worker",
]

_MODULES = {"list_plugins": "plugins", "status": "search"}


def __getattr__(name: str) -> Callable[..., Any]:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"mindgap.workflows.{_MODULES.get(name, name)}"), name)


def __dir__() -> list[str]:
    return list(__all__)
