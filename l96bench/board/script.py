"""Join the modules of the page's script, ``templates/page/*.js``, into one script that a page can hold."""

from __future__ import annotations

import re
from importlib import resources

__all__ = ["MODULES", "joined_script", "module_text"]

MODULES = (
    *("elements", "data", "address", "columns", "table", "axes", "cost", "curves", "heat", "card"),
    "start",
)
"""Names of the modules, each after those that it imports from."""
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./[a-z]+\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|let|function) )", re.MULTILINE)


def module_text(name: str) -> str:
    """Return the text of a module."""
    return resources.files("l96bench.board").joinpath("templates", "page", f"{name}.js").read_text(encoding="utf-8")


def joined_script() -> str:
    """Return all modules in one scope, without imports and exports, which a script in a page cannot have."""
    parts = (_EXPORT.sub("", _IMPORT.sub("", module_text(name))).strip() for name in MODULES)
    return '"use strict";\n(() => {\n' + "\n".join(parts) + "\n})();"
