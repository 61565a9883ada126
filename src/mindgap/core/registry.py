"""Registries: a plug-in is one file with one decorator, and nothing else is edited."""

from __future__ import annotations

import importlib
import inspect
import logging
import pkgutil
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from threading import RLock
from typing import Generic, TypeVar

from mindgap.core.errors import UnknownNameError, near_names

T = TypeVar("T")
log = logging.getLogger(__name__)


class Registry(Generic[T]):
    """Named implementations of one interface, discovered when first asked for.

    Discovery imports every module of ``package`` and loads every entry point of the group ``mindgap.<kind>``.
    An entry point may name the registered object or only the module that registers it; when it names an object that no
    decorator registered, the object is registered under the entry point's name. One that cannot be loaded is left out
    with a warning, so that a broken package does not take the others with it.

    Example:
        >>> LOSSES = Registry("losses", package="mindgap.train.losses")
        >>> @LOSSES.register("focal")
        ... class FocalLoss: ...
    """

    def __init__(self, kind: str, *, package: str) -> None:
        self.kind = kind
        self.package = package
        self._entries: dict[str, T] = {}
        self._broken: dict[str, str] = {}
        self._discovered = False
        self._lock = RLock()  # a module may ask its own registry while it is discovered, another thread must wait

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
            UnknownNameError: nothing is registered under it, or the plug-in of that name cannot be loaded.
        """
        self.discover()
        if name in self._broken and name not in self._entries:
            raise UnknownNameError(f"{self._broken[name]}; mend or uninstall that package, or name another")
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
        with self._lock:
            if self._discovered:
                return
            self._discovered = True
            package = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(package.__path__):
                importlib.import_module(f"{self.package}.{module.name}")
            for point in entry_points(group=f"mindgap.{self.kind}"):
                try:
                    self._load(point)
                except Exception as error:  # noqa: BLE001  (another package's code may fail in any way)
                    self._broken[point.name] = _broken(point, error)
                    log.warning("%s; it is left out", self._broken[point.name])

    def _load(self, point: EntryPoint) -> None:
        loaded = point.load()
        if not inspect.ismodule(loaded) and loaded not in self._entries.values():
            self.register(point.name)(loaded)


def _broken(point: EntryPoint, error: Exception) -> str:
    """What is wrong with an entry point, in one line."""
    package = f" of {point.dist.name}" if point.dist is not None else ""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return f"the plug-in {point.name} = {point.value} in {point.group}{package} cannot be loaded ({reason})"


def _origin(entry: object) -> str:
    module = getattr(entry, "__module__", type(entry).__module__)
    return f"{module}.{getattr(entry, '__qualname__', repr(entry))}"
