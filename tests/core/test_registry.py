from __future__ import annotations

import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mindgap.core.errors import UnknownNameError
from mindgap.core.registry import Registry


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An importable, empty package of plug-ins whose registry is below."""
    (tmp_path / "some_plugins").mkdir()
    (tmp_path / "some_plugins" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "some_plugins"
    for name in [name for name in sys.modules if name.startswith("some_plugins")]:
        del sys.modules[name]


def test_an_unknown_name_lists_the_near_one(package: str):
    registry: Registry[type] = Registry("things", package=package)
    registry.register("resnet18")(int)
    with pytest.raises(UnknownNameError, match=r"things: no 'resnet81'; did you mean 'resnet18'"):
        registry.get("resnet81")


def test_a_name_is_not_taken_twice(package: str):
    registry: Registry[type] = Registry("things", package=package)
    registry.register("a")(int)
    registry.register("a")(int)
    with pytest.raises(UnknownNameError, match="taken"):
        registry.register("a")(str)


def test_description_is_the_docstrings_first_line(package: str):
    registry: Registry[type] = Registry("things", package=package)

    class Thing:
        """One line.

        And more.
        """

    registry.register("thing")(Thing)
    assert registry.describe() == {"thing": "One line."}


def test_a_file_in_the_package_is_found_when_first_asked(package: str, tmp_path: Path):
    registry: Registry[object] = Registry("things", package=package)
    sys.modules["some_plugins_registry"] = type(sys)("some_plugins_registry")
    sys.modules["some_plugins_registry"].REGISTRY = registry
    (tmp_path / "some_plugins" / "one.py").write_text(
        "from some_plugins_registry import REGISTRY\n@REGISTRY.register('one')\nclass One: pass\n"
    )
    assert registry.names() == ("one",)
    del sys.modules["some_plugins_registry"]


def test_threads_that_ask_at_once_all_see_every_name(package: str, tmp_path: Path):
    for name in "ab":
        code = (
            f"import time, some_plugins as s\ntime.sleep(.05)\ns.registry.register({name!r})(type({name!r}, (), {{}}))"
        )
        (tmp_path / package / f"{name}.py").write_text(code)
    registry: Registry[type] = Registry("things", package=package)
    importlib.import_module(package).registry = registry
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: registry.names(), range(4)))
    assert found == [("a", "b")] * 4
