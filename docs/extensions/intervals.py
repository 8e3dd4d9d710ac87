"""In tables an interval, such as [84.1, 85.2], stays on one line."""

import re

from docutils import nodes
from sphinx.application import Sphinx

INTERVAL = re.compile(r"\[([-+−]?[\d.]+), ([-+−]?[\d.]+)\]")
"""Two numbers in brackets."""
KEPT = "\N{NO-BREAK SPACE}"


def keep_together(app: Sphinx, doctree: nodes.document) -> None:
    """Put a space that does not break into every interval in a cell of a table."""
    for cell in doctree.findall(nodes.entry):
        for text in list(cell.findall(nodes.Text)):
            changed = INTERVAL.sub(rf"[\1,{KEPT}\2]", text)
            if changed != text:
                text.parent.replace(text, nodes.Text(changed))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the build."""
    app.connect("doctree-read", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
