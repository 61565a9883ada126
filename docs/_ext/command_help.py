"""The directive ``command-help``: what ``mindgap VERB --help`` prints, so that the page cannot fall behind."""

from __future__ import annotations

from typing import ClassVar

import typer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from typer.main import get_command

from mindgap.cli.main import build_app


class CommandHelp(SphinxDirective):
    """Prints the help of the verb named in the argument."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """Makes the nodes."""
        verb = self.arguments[0]
        command = get_command(build_app()).commands[verb]  # pyright: ignore[reportAttributeAccessIssue]
        with typer.Context(command, info_name=f"mindgap {verb}", terminal_width=100, max_content_width=100) as context:
            text = command.get_help(context)
        return [nodes.literal_block(text, text, language="text")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
