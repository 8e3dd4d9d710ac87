"""Pages of reference: every public object, the command line, regimes and environments, made from the package itself."""

import importlib
import inspect
import re
import types
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import gymnasium
import typer.main
from docutils import nodes
from sources import write_pages
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util.logging import getLogger

import l96bench
from l96bench.cli import app
from l96bench.tasks import families

ROOMS = ("tasks", "estimators", "assimilation", "envs", "metrics", "diagnostics", "equations")
"""The rooms with a front door of their own; what `l96bench` exports from them is described there."""
HEADING = {1: "=", 2: "-"}


@dataclass(frozen=True)
class Public:
    """A public object, the front door at which it is described, and the other doors that offer it."""

    door: str
    name: str
    value: Any
    also: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The import path at which it is described."""
        return f"{self.door}.{self.name}"

    @property
    def directive(self) -> str:
        """What autodoc calls its kind."""
        value = inspect.unwrap(self.value) if callable(self.value) else self.value
        if inspect.isclass(value):
            return "autoexception" if issubclass(value, BaseException) else "autoclass"
        if isinstance(value, types.GenericAlias):
            return "py:data"
        return "autofunction" if inspect.isroutine(value) else "autodata"

    @property
    def first_line(self) -> str:
        """The first line of its docstring; data have none."""
        return "" if self.directive in ("autodata", "py:data") else (inspect.getdoc(self.value) or "").split("\n")[0]


def public_objects() -> Iterator[Public]:
    """Return every public object of every front door once, rooms before the package."""
    offered = {door: importlib.import_module(door) for door in (*(f"l96bench.{room}" for room in ROOMS), "l96bench")}
    doors: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    for door, module in offered.items():
        for name in module.__all__:
            value = getattr(module, name)
            key = name if values.get(name, value) is value else f"{door}.{name}"
            doors.setdefault(key, []).append(door)
            values[key] = value
    for key, (door, *also) in doors.items():
        yield Public(door, key.rpartition(".")[2], values[key], tuple(also))


def title(text: str, level: int = 1) -> str:
    """A heading in reStructuredText."""
    return f"{text}\n{HEADING[level] * len(text)}"


def escaped(text: str) -> str:
    """Text in a cell of a reStructuredText table."""
    return text.replace("\\", "\\\\").replace("*", "\\*").replace("|", "\\|")


def page_of(public: Public) -> str:
    """The page of one object."""
    lines = [title(public.name), ""]
    if public.also:
        lines += ["Also " + " and ".join(f"``{door}.{public.name}``" for door in public.also) + ".", ""]
    lines += [f".. {public.directive}:: {public.path}"]
    if public.directive == "autoclass":
        lines += ["   :members:", "   :show-inheritance:"]
    if public.directive == "py:data":
        lines += ["", f"   ``{public.value}``"]
    if public.directive == "autodata":
        lines += ["   :no-value:"]
    return "\n".join(lines) + "\n"


def door_page(door: str, objects: list[Public]) -> str:
    """The page of a front door: each of its objects and the first line of its description."""
    description = (inspect.getdoc(importlib.import_module(door)) or "").split("\n\n")[0]
    lines = [title(door), "", description, "", ".. list-table::", "   :widths: 30 70", ""]
    for each in objects:
        lines += [f"   * - :py:obj:`{each.name} <{each.path}>`", f"     - {escaped(each.first_line)}"]
    own = [each for each in objects if each.door == door]
    lines += ["", ".. toctree::", "   :hidden:", "", *(f"   {each.name} <{each.path}>" for each in own)]
    return "\n".join(lines) + "\n"


def api_pages() -> dict[str, str]:
    """The pages of all front doors and of all their objects, by file name."""
    objects = list(public_objects())
    pages = {f"{each.path}.rst": page_of(each) for each in objects}
    for door in ("l96bench", *(f"l96bench.{room}" for room in ROOMS)):
        here = [each for each in objects if door in (each.door, *each.also)]
        pages[f"{door}.rst"] = door_page(door, sorted(here, key=lambda each: each.name.lower()))
    return pages


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Return a command and all of its subcommands by what is typed."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, each in command.commands.items():
        yield from commands(each, f"{path} {name}")


def command_line() -> str:
    """The page of the command line."""
    lines = ["# Command line", "", "`l96bench COMMAND --help` shows the same.", ""]
    for path, command in commands(typer.main.get_command(app), "l96bench"):
        context = click.Context(command, info_name=path)
        usage = f"{path} {' '.join(command.collect_usage_pieces(context))}"
        lines += [f"## {path.removeprefix('l96bench ')}", "", inspect.cleandoc(command.help or ""), ""]
        lines += ["```text", usage, "```", ""]
        rows = [
            (" ".join([*each.opts, *each.secondary_opts]), getattr(each, "help", None) or "")
            for each in command.params
            if each.param_type_name == "option" and not each.hidden
        ]
        if rows:
            lines += [l96bench.markdown_table(("option", "meaning"), rows, left=("option", "meaning")), ""]
    return "\n".join(lines)


def regimes() -> str:
    """The page of regimes."""
    header = ("regime", "K", "J", "I", "F", "h", "b", "c", "d", "e", "g", "coupling", "source")
    rows = []
    for name in l96bench.list_regimes():
        one = l96bench.get_regime(name)
        rows.append(
            (name, *(f"{value:g}" for value in (getattr(one, key) for key in header[1:11])), one.coupling, one.source)
        )
    lines = [
        "# Regimes",
        "",
        "`l96bench.get_regime(id)` gives one, `l96bench.simulate(id, duration)` its truth. The symbols are",
        "those of {py:obj}`l96bench.Regime`.",
        "",
        l96bench.markdown_table(header, rows, left=("regime", "coupling", "source")),
        "",
        "## Tasks",
        "",
        "`l96bench.make_task(id)` makes one.",
        "",
        l96bench.markdown_table(
            ("family", "question", "tasks"),
            [
                (name, family.question, ", ".join(each.partition("/")[2] for each in l96bench.list_tasks(name)))
                for name, family in sorted(families().items())
            ],
            left=("family", "question", "tasks"),
        ),
        "",
    ]
    return "\n".join(lines)


def environments() -> str:
    """The page of Gymnasium environments."""
    from l96bench.envs import ENVIRONMENTS

    rows = []
    for id, entry_point in ENVIRONMENTS.items():
        env = gymnasium.make(id)
        cls = entry_point.partition(":")[2]
        rows.append(
            (
                id,
                l96bench.Markdown(f"{{py:obj}}`~l96bench.envs.{cls}`"),
                l96bench.Markdown(f"{{py:obj}}`~l96bench.envs.{cls.removesuffix('Env')}VectorEnv`"),
                str(env.observation_space.shape),
                str(env.action_space.shape),
            )
        )
        env.close()
    header = ("id", "environment", "batch", "observation", "action")
    return "\n".join(
        [
            "# Environments",
            "",
            "`import l96bench` registers them; `gymnasium.make(id)` makes one, `gymnasium.make_vec(id, "
            "num_envs=N)` a batch",
            "that steps as one array. Shapes are those without options.",
            "",
            l96bench.markdown_table(header, rows, left=header),
            "",
        ]
    )


def make(app: Sphinx) -> None:
    """Write the pages into docs/reference."""
    folder = Path(app.srcdir) / "reference"
    write_pages(folder / "api", api_pages())
    write_pages(
        folder / "generated",
        {"command-line.md": command_line(), "regimes.md": regimes(), "environments.md": environments()},
    )


def lead(app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.Element) -> nodes.Element | None:
    """Lead a name of a public object, or of a member of one, to its page, wherever the name is used."""
    name = node["reftarget"]
    is_ours = name.startswith("l96bench.")
    if node.get("refdomain") != "py" or not (is_ours or re.search("[A-Z_]", name)):
        return None  # a word in small letters may be a parameter
    first, _, member = name.removeprefix("l96bench.").partition(".")
    last = name.rpartition(".")[2]
    if first in _paths():
        path = f"{_paths()[first]}.{member}".rstrip(".")
    else:
        path = _paths().get(last, name) if is_ours else name
    found = env.get_domain("py").resolve_xref(env, node["refdoc"], app.builder, "obj", path, node, shown)
    if found is None and not node["refdoc"].startswith("reference/api/"):
        getLogger(__name__).warning("no public object %s", name, location=node)
    return found


@cache
def _paths() -> dict[str, str]:
    """The places of public objects by their names; names that two objects have are left out."""
    objects = list(public_objects())
    counts = Counter(each.name for each in objects)
    return {each.name: each.path for each in objects if counts[each.name] == 1}


def skip(app: Sphinx, what: str, name: str, value: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out the methods with which scikit-learn routes metadata; nothing here has metadata."""
    return True if re.fullmatch("[gs]et_\\w+_(request|routing)|get_metadata_routing", name) else None


def check(app: Sphinx, error: Exception | None) -> None:
    """End the build if a public object is not on its page."""
    if error is None and app.builder.name == "html":
        known = app.env.get_domain("py").objects
        missing = [each.path for each in public_objects() if each.path not in known]
        if missing:
            raise ExtensionError(f"not in the reference: {', '.join(missing)}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the build."""
    app.connect("builder-inited", make)
    app.connect("autodoc-skip-member", skip)
    app.connect("missing-reference", lead)
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
