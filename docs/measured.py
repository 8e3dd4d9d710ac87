"""Runs behind the pages of this folder that take minutes to hours, kept as JSON in docs/measured/.

A page is made of what is kept and of the committed results, in seconds; `--again` makes the runs again.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("measured")


def measured(name: str, measure: Callable[[], Any]) -> Any:
    """Return what docs/measured/NAME.json holds, written from `measure()` if it is missing or `--again` was asked."""
    path = FOLDER / f"{name}.json"
    if not path.is_file() or "--again" in sys.argv[1:]:
        FOLDER.mkdir(exist_ok=True)
        path.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))
