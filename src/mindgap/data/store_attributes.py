"""Attributes of a finished store: those it was prepared with, or others cut from the columns it kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pandas as pd

from mindgap.core.errors import DataError, UnknownNameError, near_names
from mindgap.core.groups import Groups
from mindgap.data.attribute import MEASURED, AttributeSpec, parse_attributes, usable_groups
from mindgap.data.column_names import column_meant, nameable, to_rename
from mindgap.data.image_store import Store
from mindgap.data.table import column_of

_OWN = frozenset({"id", "split", "cluster", "has_mask", "label"})


class StoreAttribute(NamedTuple):
    """Groups of an attribute, how it is written in full, and rows whose value fits no group."""

    groups: Groups
    spec: str
    out_of_range: int


def store_attributes(store: Store, asked: str | Iterable[str] | None = None) -> dict[str, StoreAttribute]:
    """The store's attributes, or those asked for, in attribute syntax.

    A name that the store was prepared with is that attribute. Any other is a column of the source (``meta_age`` is
    asked for as ``age``) or a measured one; bands and quantiles cut the source's column, not the groups made of it.

    Raises:
        ConfigError: the syntax is wrong.
        DataError: an attribute has one group only, or the table holds a group that ``store.json`` does not list.
        UnknownNameError: no column has that name.
    """
    if asked is None:
        return {name: _listed(store, name) for name in store.attributes}
    specs = parse_attributes(asked)
    return {spec.name: _listed(store, spec.name) if _is_stored(store, spec) else _cut(store, spec) for spec in specs}


def _is_stored(store: Store, spec: AttributeSpec) -> bool:
    plain = all(not factor.edges and not factor.quantiles for factor in spec.factors)
    return spec.name in store.info.attributes and (plain or store.info.attributes[spec.name].spec == spec.spec)


def _listed(store: Store, name: str) -> StoreAttribute:
    """An attribute of ``store.json``, checked against the table."""
    if name not in store.table.columns:
        raise DataError(f"{store.path}: table.parquet has no column {name!r} of the attribute; prepare the store again")
    groups = store.groups(name)
    cells = column_of(store.table, name)
    strange = cells.notna().to_numpy() & ~groups.known
    if strange.any():
        seen = str(cells.to_numpy()[strange][0])
        raise DataError(
            f"{store.path}: table.parquet holds {seen!r} under {name!r}, which store.json does not list; "
            "prepare the store again"
        )
    info = store.info.attributes[name]
    return StoreAttribute(groups, info.spec, info.out_of_range)


def _cut(store: Store, spec: AttributeSpec) -> StoreAttribute:
    grouped = spec.groups(pd.DataFrame(_columns(store, spec)))
    return StoreAttribute(usable_groups(grouped), spec.spec, grouped.out_of_range)


def _columns(store: Store, spec: AttributeSpec) -> Mapping[str, pd.Series]:
    """The columns that an attribute is cut from, by the names it uses."""
    found: dict[str, pd.Series] = {}
    kept = [name.removeprefix("meta_") for name in map(str, store.table.columns) if name.startswith("meta_")]
    for factor in spec.factors:
        raw, plain = f"meta_{factor.column}", factor.column
        places = [raw, plain] if factor.edges or factor.quantiles else [plain, raw]
        there = [place for place in places if place in store.table.columns and place not in _OWN]
        if there:
            found[plain] = column_of(store.table, there[0])
        elif (meant := column_meant(plain, kept)) is not None:
            found[plain] = column_of(store.table, f"meta_{meant}")
        elif plain not in MEASURED:
            own = [name for name in map(str, store.table.columns) if name not in _OWN and not name.startswith("meta_")]
            instead = to_rename(plain, kept) + near_names(plain, [*own, *nameable(kept)])
            raise UnknownNameError(f"{store.path}: no attribute {plain!r}; {instead}")
    return found
