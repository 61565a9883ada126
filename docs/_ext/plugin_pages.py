"""The directive ``plugins``: one entry per registered plug-in of a kind, read from the registry at build time."""

from __future__ import annotations

import inspect
import re
from typing import ClassVar

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mindgap.workflows.plugins import REGISTRIES, registry_of

SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Example|Examples|Note|Yields):\s*$")

ITEM = re.compile(r"^ {4}(\w+): (.*)$")


def description(entry: object) -> str:
    """The docstring up to its first Google section: what it is, its formula, its source."""
    lines = (inspect.getdoc(entry) or "").splitlines()
    end = next((number for number, line in enumerate(lines) if SECTION.match(line)), len(lines))
    return "\n".join(lines[:end]).strip()


def options(entry: object) -> list[str]:
    """A line for each option of a plug-in: its name, default, and what its docstring says."""
    model = getattr(entry, "options_model", None) or getattr(entry, "Settings", None)
    fields = getattr(model, "model_fields", {})
    said = attributes(model)
    return [
        f"`{name}` ({field.get_default(call_default_factory=True)!r}): {said.get(name, '')}"
        for name, field in fields.items()
    ]


def attributes(model: object) -> dict[str, str]:
    """What the section "Attributes" of a docstring says of each, and of those of the classes it is made from."""
    found: dict[str, str] = {}
    for one in reversed(getattr(model, "__mro__", ())):
        name = ""
        inside = False
        for line in (inspect.cleandoc(one.__doc__ or "")).splitlines():
            if SECTION.match(line):
                inside = line.startswith("Attributes")
            elif inside and (item := ITEM.match(line)):
                name = item[1]
                found[name] = item[2]
            elif inside and name and line.startswith(" " * 8):
                found[name] += " " + line.strip()
    return found


class Plugins(SphinxDirective):
    """Lists the plug-ins of the kind named in the argument."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Makes the nodes."""
        kind = self.arguments[0]
        registry = registry_of(kind)
        lines = []
        for name in registry.names():
            entry = registry.get(name)
            module = getattr(entry, "__module__", type(entry).__module__)
            text = description(entry).replace("\n", "\n  ")
            lines += [f"`{name}`", f": {text}", ""]
            if of_entry := options(entry):
                lines += ["  Options:", "", *(f"  * {line}" for line in of_entry), ""]
            lines += [f"  *in* `{module}`", ""]
        box = nodes.container()
        self.state.nested_parse(StringList(lines, source=f"registry {kind}"), self.content_offset, box)
        return box.children


def check_every_kind_has_its_place(app: Sphinx, *_: object) -> None:
    """Fails the build when a kind of plug-in is missing on the page."""
    page = (app.srcdir / "plugins.md").read_text(encoding="utf-8")
    missing = [kind for kind in REGISTRIES if f"{{plugins}} {kind}\n" not in page]
    if missing:
        raise ValueError(f"docs/plugins.md lists no {', '.join(missing)}; add a section with the directive")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("plugins", Plugins)
    app.connect("builder-inited", check_every_kind_has_its_place)
    return {"parallel_read_safe": True}
