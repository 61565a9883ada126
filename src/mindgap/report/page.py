"""One HTML file that needs nothing else: a title and the sections under it, with the page's own style sheet."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from mindgap import __version__
from mindgap.report.writing import environment

_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069]")
_STRONG = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"
_RIGHT_TO_LEFT = re.compile(f"[{_STRONG}](?:[{_STRONG} ]*[{_STRONG}])?")


@dataclass(frozen=True)
class Section:
    """One part of a page.

    Attributes:
        anchor: its id in the page; its template is ``<anchor>.html.j2``.
        title: its heading.
        short: its name in the contents.
        content: what the template needs.
    """

    anchor: str
    title: str
    short: str
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def template(self) -> str:
        """File of its template."""
        return f"{self.anchor}.html.j2"


@dataclass(frozen=True)
class KeyFigure:
    """A large number at the top with what it rests on below."""

    label: str
    value: str
    under: str
    undefined: bool = False


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        title: its heading.
        subtitle: one line below it.
        made_from: what the figures come from, as in "made from the files of run 7".
        sections: its parts in order; their contents share one set of names.
        pictures: whether it holds pictures as data, which its policy else forbids.
    """

    title: str
    subtitle: str
    made_from: str
    sections: Sequence[Section]
    pictures: bool = False


def render_page(page: Page) -> str:
    """The page as text; every name and number is escaped, and only the page's own style may act."""
    style = files("mindgap.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    context: dict[str, Any] = {
        "title": page.title,
        "subtitle": page.subtitle,
        "made_from": page.made_from,
        "version": __version__,
        "style": Markup(style),  # noqa: S704  (our own file)
        "style_hash": _hash(style),
        "parts": page.sections,
        "pictures": page.pictures,
    }
    for part in page.sections:
        context |= part.content
    return readable(environment().get_template("report.html.j2").render(context))


def readable(text: str) -> str:
    """The text without characters that would turn or hide what follows them; words from right to left are set apart.

    A group called with a right-to-left override would mirror the figures after its name, and Hebrew before ``(n = 12)``
    draws the bracket to its other side.
    """
    return _RIGHT_TO_LEFT.sub("\u2068\\g<0>\u2069", _UNREADABLE.sub("\ufffd", text))


def _hash(style: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
