"""Sensitive attributes from table columns: categories, bands, quantiles and intersections.

The syntax, the same for every verb: ``sex``, ``age:bands=0/30/60/120``, ``ita_degrees:quantiles=5``, ``sex*age``;
several are separated by commas. A name in an intersection means the attribute of that name in the same list if there
is one, else the column as it stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise, product
from typing import NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mindgap.core.errors import ConfigError, DataError, UnknownNameError, near_names
from mindgap.core.groups import Groups, refuse_alike_but_for_blanks
from mindgap.data.column_names import column_meant, columns_instead
from mindgap.data.table import column_of, numbered

MEASURED = dict.fromkeys(("tone", "ita_degrees"), "mindgap tone") | {"tone_quantile": "mindgap tone --quantiles 3"}
"""Columns that are made from the pixels of a store, and by which command."""


class Grouped(NamedTuple):
    """Groups of an attribute, and which rows had a value that no group takes.

    Attributes:
        groups: the groups; only those that occur.
        outside: bool (n,), rows whose cell is filled but outside every band, or not a number where one is needed.
        empty: names of groups that no row falls into.
    """

    groups: Groups
    outside: NDArray[np.bool_]
    empty: tuple[str, ...] = ()

    @property
    def out_of_range(self) -> int:
        """Number of rows whose value no group takes."""
        return int(self.outside.sum())


@dataclass(frozen=True)
class Factor:
    """One column, cut into groups.

    Attributes:
        column: name of the column.
        edges: band edges as written, ``("0", "30", "60")``; empty if there are no bands. Bands are [lo, hi), the last
            one closed.
        quantiles: number of quantile groups ``q1``..., or 0.
    """

    column: str
    edges: tuple[str, ...] = ()
    quantiles: int = 0

    @property
    def spec(self) -> str:
        """The factor as the user writes it."""
        if self.edges:
            return f"{self.column}:bands={'/'.join(self.edges)}"
        return f"{self.column}:quantiles={self.quantiles}" if self.quantiles else self.column

    def groups(self, columns: pd.DataFrame) -> Grouped:
        """Cuts the column; see ``AttributeSpec.groups``."""
        names = list(map(str, columns.columns))
        column = column_meant(self.column, names)
        if column is None:
            if self.column in MEASURED:
                raise UnknownNameError(
                    f"no column {self.column!r}: it exists only after `{MEASURED[self.column]}`, which measures it in "
                    "a prepared store; leave it out of --attributes"
                )
            instead = columns_instead(self.column, names)
            raise UnknownNameError(f"no column {self.column!r} for the attribute; {instead}")
        values = column_of(columns, column)
        if self.edges:
            return self._bands(values)
        return self._quantiles(values) if self.quantiles else self._categories(values)

    def _categories(self, values: pd.Series) -> Grouped:
        names = sorted(values.dropna().unique().tolist())
        refuse_alike_but_for_blanks(map(str, names), column=f"attribute {self.column!r}")
        ids = numbered(values, names)
        return Grouped(Groups(self.column, tuple(names), ids), np.zeros(len(values), dtype=np.bool_))

    def _bands(self, values: pd.Series) -> Grouped:
        numbers, filled = _numbers(values)
        edges = np.array([float(edge) for edge in self.edges])
        ids = np.searchsorted(edges, numbers, side="right") - 1
        ids[numbers == edges[-1]] = len(edges) - 2
        ids[~np.isfinite(numbers) | (numbers < edges[0]) | (numbers > edges[-1])] = -1
        names = tuple(f"{lo}-{hi}" for lo, hi in pairwise(self.edges))
        return _occurring(self.column, names, ids.astype(np.int64), filled & (ids < 0))

    def _quantiles(self, values: pd.Series) -> Grouped:
        numbers, filled = _numbers(values)
        usable = np.isfinite(numbers)
        ids = np.full(len(numbers), -1, dtype=np.int64)
        if usable.any():
            inner = np.quantile(numbers[usable], np.arange(1, self.quantiles) / self.quantiles)
            ids[usable] = np.searchsorted(inner, numbers[usable], side="right")
        return _occurring(self.column, tuple(f"q{i + 1}" for i in range(self.quantiles)), ids, filled & ~usable)


@dataclass(frozen=True)
class AttributeSpec:
    """A sensitive attribute: one column, or the intersection of several.

    Attributes:
        name: ``age`` for bands of age too; ``sex*age`` for an intersection.
        factors: the columns it is made of.

    Example:
        >>> [spec.name for spec in parse_attributes("sex,age:bands=0/30/60,sex*age")]
        ['sex', 'age', 'sex*age']
    """

    name: str
    factors: tuple[Factor, ...]

    @property
    def spec(self) -> str:
        """The attribute as the user writes it, every factor in full."""
        return "*".join(factor.spec for factor in self.factors)

    def groups(self, columns: pd.DataFrame) -> Grouped:
        """Which group each row belongs to.

        Args:
            columns: text columns, a missing cell being None or NaN.

        Returns:
            Groups in order (names sorted; bands and quantiles from low to high; the first factor varies slowest), only
            those that occur, and the number of rows whose filled cell fits no group. Such rows are unknown (-1), and so
            is a row of an intersection with any factor unknown.

        Raises:
            UnknownNameError: a column is not there.
            DataError: two values differ by outer blanks only, or two groups of an intersection would have one name.
        """
        parts = [factor.groups(columns) for factor in self.factors]
        if len(parts) == 1:
            only = parts[0]
            return only._replace(groups=Groups(self.name, only.groups.names, only.groups.ids))
        ids, known = np.zeros(len(columns), dtype=np.int64), np.ones(len(columns), dtype=np.bool_)
        for part in parts:
            known &= part.groups.known
            ids = ids * len(part.groups.names) + np.maximum(part.groups.ids, 0)
        combinations = tuple(product(*(part.groups.names for part in parts)))
        ids = np.where(known, ids, -1)
        self._refuse_one_name_for_two(combinations, ids)
        outside = np.logical_or.reduce([part.outside for part in parts])
        return _occurring(self.name, tuple(map("*".join, combinations)), ids, outside)

    def _refuse_one_name_for_two(self, combinations: tuple[tuple[str, ...], ...], ids: NDArray[np.int64]) -> None:
        """Values that hold a ``*`` can give two groups one name; whoever reads the table would take them for one."""
        named: dict[str, tuple[str, ...]] = {}
        for number in np.unique(ids[ids >= 0]).tolist():
            mine = combinations[number]
            other = named.setdefault("*".join(mine), mine)
            if other is not mine:
                both = " and ".join(f"({self._told(parts)})" for parts in (other, mine))
                raise DataError(
                    f"attribute {self.name!r}: the groups {both} would both be named {'*'.join(mine)!r}; "
                    "rename the values that hold a '*'"
                )

    def _told(self, parts: tuple[str, ...]) -> str:
        return ", ".join(f"{factor.column}={part!r}" for factor, part in zip(self.factors, parts, strict=True))


def parse_attributes(text: str | Iterable[str]) -> tuple[AttributeSpec, ...]:
    """Reads attribute syntax, ``sex,age:bands=0/30/60/120,sex*age``.

    Raises:
        ConfigError: nothing is named, a name comes twice, or bands or quantiles make no sense.
    """
    items = [item.strip() for item in (text.split(",") if isinstance(text, str) else text)]
    if not items or not all(items):
        raise ConfigError(f"attributes are {text!r}: an empty name; write them as sex,age:bands=0/30/60/120,sex*age")
    parsed = [tuple(_parse_factor(part.strip(), item) for part in item.split("*")) for item in items]
    declared = {factors[0].column: factors[0] for factors in parsed if len(factors) == 1}
    specs: dict[str, AttributeSpec] = {}
    for item, factors in zip(items, parsed, strict=True):
        resolved = tuple(_resolve(factor, declared) for factor in factors)
        name = "*".join(factor.column for factor in resolved)
        if name in specs or len({factor.column for factor in resolved}) < len(resolved):
            raise ConfigError(f"attribute {item!r} names {name!r} twice; name each attribute once")
        specs[name] = AttributeSpec(name, resolved)
    return tuple(specs.values())


def usable_groups(grouped: Grouped) -> Groups:
    """The groups, if there are at least two, and one with more than one image.

    Raises:
        DataError: the attribute is missing everywhere, has one group only, or makes a group of each image.
    """
    groups = grouped.groups
    if not groups.names:
        why = f"{grouped.out_of_range} values fit no group" if grouped.out_of_range else "every cell is empty"
        raise DataError(f"attribute {groups.attribute!r} is missing in every row ({why}); name another column or bands")
    if len(groups.names) == 1:
        raise DataError(f"attribute {groups.attribute!r} has one group only, {groups.names[0]!r}; a gap needs two")
    if int(groups.counts().max()) == 1:
        raise DataError(
            f"attribute {groups.attribute!r} makes a group of each image, {len(groups.names)} groups such as "
            f"{groups.names[0]!r}; name another column, or cut numbers as age:bands=0/30/60"
        )
    return groups


def _parse_factor(text: str, item: str) -> Factor:
    header, colon, option = text.partition(":")
    column = header.strip()
    key, _, value = option.partition("=")
    if not column:
        raise ConfigError(f"attribute {item!r} has an empty name; write it as sex*age")
    if not colon:
        return Factor(column)
    if key == "bands":
        return Factor(column, edges=_parse_edges(value, item))
    if key == "quantiles":
        if not value.isascii() or not value.isdigit() or int(value) < 2:
            raise ConfigError(f"attribute {item!r}: quantiles={value!r} is not a whole number of at least 2")
        return Factor(column, quantiles=int(value))
    known = near_names(key, ["bands", "quantiles"])
    raise ConfigError(f"attribute {item!r}: no option {key!r}; {known}; rename a column with a ':' in its name")


def _parse_edges(value: str, item: str) -> tuple[str, ...]:
    edges = tuple(edge.strip() for edge in value.split("/"))
    try:
        numbers = [float(edge) for edge in edges]
    except ValueError:
        raise ConfigError(f"attribute {item!r}: bands={value!r} are not numbers; write bands=0/30/60") from None
    rising = all(low < high for low, high in pairwise(numbers))
    if len(numbers) < 2 or not rising or not all(map(math.isfinite, numbers)):
        raise ConfigError(f"attribute {item!r}: bands={value!r} need two or more rising edges; write bands=0/30/60")
    return edges


def _resolve(factor: Factor, declared: dict[str, Factor]) -> Factor:
    plain = not factor.edges and not factor.quantiles
    return declared.get(factor.column, factor) if plain else factor


def _numbers(values: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    numbers = cast("pd.Series", pd.to_numeric(values.astype(object), errors="coerce"))
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan), values.notna().to_numpy()


def _occurring(name: str, names: tuple[str, ...], ids: NDArray[np.int64], outside: NDArray[np.bool_]) -> Grouped:
    """Drops the groups that no row is in and renumbers the rest."""
    counts = np.bincount(ids[ids >= 0], minlength=len(names))
    renumber = np.append(np.cumsum(counts > 0) - 1, -1)
    kept = tuple(group for group, count in zip(names, counts, strict=True) if count)
    there = set(kept)
    empty = tuple(group for group, count in zip(names, counts, strict=True) if not count and group not in there)
    return Grouped(Groups(name, kept, renumber[ids].astype(np.int64)), outside, empty)
