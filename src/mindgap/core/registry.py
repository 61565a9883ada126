"""Registries: a plug-in is one file with one decorator, and nothing else is edited."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from mindgap.core.errors import UnknownNameError, near_names

T = TypeVar("T")


class Registry(Generic[T]):
    """Named implementations of one interface, discovered when first asked for.

    Discovery imports every module of ``package`` and loads every entry point of the group ``mindgap.<kind>``.
    An entry point may name the registered object or only the module that registers it; when it names an object that no
    decorator registered, the object is registered under the entry point's name.

    Example:
        >>> LOSSES = Registry("losses", package="mindgap.train.losses")
        >>> @LOSSES.register("focal")
        ... class FocalLoss: ...
    """

    def __init__(self, kind: str, *, package: str) -> None:
        self.kind = kind
        self.package = package
        self._entries: dict[str, T] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[T], T]:
        """Returns the decorator that registers an implementation under a name.

        Raises:
            UnknownNameError: the name is taken by another object.
        """

        def decorate(entry: T) -> T:
            taken = self._entries.get(name)
            if taken is not None and _origin(taken) != _origin(entry):
                raise UnknownNameError(
                    f"{self.kind}: the name {name!r} is taken by {_origin(taken)}; register another name"
                )
            self._entries[name] = entry
            return entry

        return decorate

    def get(self, name: str) -> T:
        """Returns the implementation of that name.

        Raises:
            UnknownNameError: nothing is registered under it.
        """
        self.discover()
        if name not in self._entries:
            raise UnknownNameError(f"{self.kind}: no {name!r}; {near_names(name, self._entries)}")
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        """All registered names, sorted."""
        self.discover()
        return tuple(sorted(self._entries))

    def describe(self) -> dict[str, str]:
        """The first line of each implementation's docstring, by name."""
        return {name: (inspect.getdoc(self._entries[name]) or "").partition("\n")[0] for name in self.names()}

    def discover(self) -> None:
        """Imports the package's modules and the entry points once; later calls return at once."""
        if self._discovered:
            return
        self._discovered = True
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")
        for point in entry_points(group=f"mindgap.{self.kind}"):
            loaded = point.load()
            if not inspect.ismodule(loaded) and loaded not in self._entries.values():
                self.register(point.name)(loaded)


def _origin(entry: object) -> str:
    module = getattr(entry, "__module__", type(entry).__module__)
    return f"{module}.{getattr(entry, '__qualname__', repr(entry))}"
