"""What can be named in an option: the registered plug-ins of each kind."""

from __future__ import annotations

import importlib
from typing import Any

from mindgap.core.errors import UnknownNameError, near_names
from mindgap.core.registry import Registry
from mindgap.workflows.reproduce_recipe import read_recipe, recipe_names

REGISTRIES = {
    "datasets": "mindgap.data.dataset:DATASETS",
    "blocks": "mindgap.space.block:BLOCKS",
    "networks": "mindgap.space.network:NETWORKS",
    "losses": "mindgap.train.loss:LOSSES",
    "mitigations": "mindgap.train.mitigation:MITIGATIONS",
    "metrics": "mindgap.metrics.metric:METRICS",
    "searchers": "mindgap.search.searcher:SEARCHERS",
    "importances": "mindgap.prune.importance:IMPORTANCES",
    "optimizers": "mindgap.tune.optimizer:OPTIMIZERS",
    "explainers": "mindgap.explain.explainer:EXPLAINERS",
    "exporters": "mindgap.export.exporter:EXPORTERS",
}

RECIPES = "recipes"

MORE_NAMES = {
    "networks": {"timm:NAME": "A convolutional network of timm, which pip install 'mindgap[backbones]' brings."}
}
"""What can be named besides the plug-ins, likewise."""


def registry_of(kind: str) -> Registry[Any]:
    """The registry of a kind of plug-in.

    Raises:
        UnknownNameError: there is no such kind.
    """
    if kind not in REGISTRIES:
        raise UnknownNameError(f"no kind of plug-in {kind!r}; {near_names(kind, (*REGISTRIES, RECIPES))}")
    module, _, name = REGISTRIES[kind].partition(":")
    return getattr(importlib.import_module(module), name)


def list_plugins(kind: str) -> dict[str, str]:
    """The names of a kind's plug-ins, those of installed packages included, each with its first docstring line.

    What another package names, such as ``timm:NAME``, is one line. ``recipes`` are the tables that ``reproduce`` makes,
    each with its title.

    Raises:
        UnknownNameError: there is no such kind.
    """
    if kind == RECIPES:
        return {name: read_recipe(name).title for name in recipe_names()}
    return registry_of(kind).describe() | MORE_NAMES.get(kind, {})
