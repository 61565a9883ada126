"""Formulas drawn as inline SVG by matplotlib's mathtext: the pages need no network and keep the theme's colour."""

from __future__ import annotations

from html import escape
from typing import Any

from docutils import nodes
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from sphinx.application import Sphinx

SIZE = 100.0
COMMANDS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}


def svg(tex: str) -> str:
    """The formula as an SVG whose height follows the text and which stands on its baseline."""
    drawn = TextPath((0, 0), f"${tex}$", size=SIZE)
    box = drawn.get_extents()
    low, high = min(box.y0, -0.05 * SIZE) - 2, max(box.y1, 0.5 * SIZE) + 2
    left, width = box.x0 - 2, box.width + 4
    parts = []
    for points, code in drawn.iter_segments(simplify=False, curves=True):
        pairs = [f"{x:.1f} {-y:.1f}" for x, y in zip(points[::2], points[1::2], strict=True)]
        parts.append("Z" if code == Path.CLOSEPOLY else COMMANDS[code] + " ".join(pairs))
    view = f"{left:.1f} {-high:.1f} {width:.1f} {high - low:.1f}"
    style = f"height:{(high - low) / SIZE:.3f}em;vertical-align:{low / SIZE:.3f}em;max-width:100%"
    label = escape(tex, quote=True)
    return (
        f'<svg role="img" aria-label="{label}" viewBox="{view}" style="{style}" fill="currentColor">'
        f'<path d="{"".join(parts)}"/></svg>'
    )


def inline(translator: Any, node: nodes.math) -> None:
    """Puts a formula into the line."""
    translator.body.append(svg(node.astext()))
    raise nodes.SkipNode


def block(translator: Any, node: nodes.math_block) -> None:
    """Puts a formula into a line of its own."""
    text = " ".join(node.astext().split())
    translator.body.append(f'<p style="text-align:center;font-size:1.1em;overflow-x:auto">{svg(text)}</p>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the renderer."""
    app.add_html_math_renderer("offline", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
