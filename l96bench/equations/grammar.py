"""The grammar of equations, its bounds, and the parsing of texts into syntax trees.

An equation is `dX[k]/dt = rhs`, `dX[3]/dt = rhs`, `dY[k,j]/dt = rhs`, `dY[3,4]/dt = rhs`, or a right-hand side alone. A
right-hand side is made of decimal numbers, variables, + - * / ** (or ^), parentheses and `FUNCTIONS`. Variables are
`X[k]`, `X[k-2]`, `X[3]`, `Y[k,j]`, `Y[k+1,j-2]`, `Y[3,4]`, and `sum(Y[k])` for the sum of a sector. All indices are
periodic; j runs on into the next sector, as the fast ring does.

Typeset minus signs, dots, crosses and superscripts are read as what they stand for.

Texts are not trusted: they are scanned for characters, adjacency, depth and length before Python's own parser sees
them, and only its tree is used. Nothing is ever evaluated.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from l96bench.errors import EquationError, nearest

MAX_LENGTH = 500_000
"""Largest number of characters in all texts of a set."""
MAX_DEPTH = 60
"""Largest depth of nested brackets, signs, powers, products and quotients."""
MAX_DIGITS = 60
"""Largest number of characters in a number."""
_CHUNK = 200
"""Terms of a sum that are parsed at once, since Python's syntax tree of a sum is as deep as the sum is long."""

FUNCTIONS: dict[str, int] = {
    **dict.fromkeys(("abs", "arctan", "cos", "cosh", "exp", "log"), 1),
    **dict.fromkeys(("maximum", "minimum"), 2),
    **dict.fromkeys(("sign", "sin", "sinh", "sqrt", "tan", "tanh"), 1),
}
"""Allowed functions, with their numbers of arguments."""

ALLOWED = (
    "Allowed are decimal numbers, X[k], X[k-1], X[3], Y[k,j], Y[k,j+1], Y[3,4], sum(Y[k]), + - * / **, parentheses "
    f"and {', '.join(FUNCTIONS)}."
)

Target: TypeAlias = tuple[int, int | None, int | None]

_TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z]\w*)|(?P<op>\*\*|[-+*/()\[\],])", re.ASCII
)


_TYPESET = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-")
    | dict.fromkeys("\u00b7\u00d7\u2062\u2217\u22c5", "*")
    | dict.fromkeys("\u00f7\u2044\u2215", "/")
)
"""Signs of typeset texts, and what they stand for."""
_SUPERSCRIPTS = dict(zip("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789", strict=True))
_POWER = re.compile("⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")


@dataclass(frozen=True, slots=True)
class Part:
    """A group of terms of a right-hand side: text, syntax tree, and the equation's name in messages."""

    label: str
    text: str
    tree: ast.expr

    def show(self, node: ast.AST) -> str:
        """Return the text of a node, shortened for a message."""
        text = self.text[getattr(node, "col_offset", 0) : getattr(node, "end_col_offset", None)]
        return text if len(text) <= 60 else f"{text[:57]}..."

    def fail(self, what: str) -> NoReturn:
        """Raise an `EquationError` about this equation."""
        fail(self.label, what)


@dataclass(frozen=True, slots=True)
class Equation:
    """A parsed equation: its targets (flat index, with k and j where they run) and the parts of its right side."""

    targets: list[Target]
    parts: list[Part]


def read(texts: Sequence[str], K: int, J: int, left: str) -> Iterator[Equation]:
    """Yield the equations of texts with left-hand sides `"dX/dt"` or `"U"`; `EquationError` if invalid or repeated."""
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise EquationError(f"expected a list of equations as strings, got {texts!r:.100}. {ALLOWED}")
    if sum(map(len, texts)) > MAX_LENGTH or len(texts) > K + K * J:
        raise EquationError(
            f"expected at most {K + K * J} equations of {MAX_LENGTH} characters together, got {len(texts)} of "
            f"{sum(map(len, texts))}."
        )
    sides = [text.split("=") for text in texts]
    bare = [len(side) == 1 for side in sides]
    if any(bare) and not all(bare):
        raise EquationError("some equations have a left-hand side and some have none: expected all, or none.")
    written: dict[int, str] = {}
    for i, (text, side) in enumerate(zip(texts, sides, strict=True)):
        label = f"equation {i + 1}, {' '.join(text.split())!r:.80}"
        if len(side) > 2:
            fail(label, "has more than one '='.")
        targets = _bare_targets(i, len(texts), K, J) if len(side) == 1 else _named_targets(side[0], K, J, left, label)
        for target, _, _ in targets:
            if target in written:
                fail(label, f"gives the tendency of {variable(target, K, J)} again, after {written[target]}.")
            written[target] = label
        yield Equation(targets, right_side(side[-1], label))


def variable(index: int, K: int, J: int) -> str:
    """Return the name of a state variable: X[3] or Y[3, 4]."""
    return f"X[{index}]" if index < K else f"Y[{(index - K) // J}, {(index - K) % J}]"


def fail(label: str, what: str) -> NoReturn:
    """Raise an `EquationError` about the equation of that label."""
    raise EquationError(f"{label}: {what}")


def right_side(text: str, label: str) -> list[Part]:
    """Return the parts of a right-hand side."""
    return [Part(label, part, _tree(part, label)) for part in _parts(text, label)]


def _all_targets(letter: str, k: int | None, j: int | None, K: int, J: int) -> list[Target]:
    """Return the targets of a left-hand side, in which None stands for a running index."""
    ks = [(k, None)] if k is not None else [(each, each) for each in range(K)]
    if letter == "X":
        return [(at, bound, None) for at, bound in ks]
    js = [(j, None)] if j is not None else [(each, each) for each in range(J)]
    return [(K + at_k * J + at_j, k_bound, j_bound) for at_k, k_bound in ks for at_j, j_bound in js]


def _bare_targets(i: int, n: int, K: int, J: int) -> list[Target]:
    """Return the targets of the i-th of n right-hand sides without left-hand sides."""
    if n <= 1 + (J > 0):
        return _all_targets("XY"[i], None, None, K, J)
    if n not in (K, K + K * J):
        counts = f"2 (X[k], then Y[k,j]), {K} or {K + K * J}" if J else f"{K}"
        raise EquationError(f"expected 1 right-hand side (that of X[k] for all k) or {counts}, got {n}.")
    return [(i, i, None) if i < K else (i, *divmod(i - K, J))]


def _named_targets(side: str, K: int, J: int, left: str, label: str) -> list[Target]:
    """Return the targets that a left-hand side names."""
    compact = "".join(side.split())
    match = re.fullmatch(r"U\[([^\]]*)\]()" if left == "U" else r"d([XY])\[([^\]]*)\]/dt", compact, re.ASCII)
    expected = "U[k] or U[3]" if left == "U" else "dX[k]/dt, dX[3]/dt" + (", dY[k,j]/dt or dY[3,4]/dt" if J else "")
    if match is None:
        fail(label, f"expected {expected} left of '=', got {side.strip()!r:.40}.")
    letter, inside = ("X", match[1]) if left == "U" else (match[1], match[2])
    indices = inside.split(",")
    if len(indices) != (1 if letter == "X" else 2) or (letter == "Y" and not J):
        fail(label, f"expected {expected} left of '=', got {side.strip()!r:.40}.")
    found: list[int | None] = []
    for index, name, size in zip(indices, "kj", (K, J), strict=False):
        if index != name and not (index.isascii() and index.isdigit() and len(index) < 10 and int(index) < size):
            fail(label, f"expected the index {name} or one of 0 .. {size - 1} left of '=', got {index!r:.40}.")
        found.append(None if index == name else int(index))
    return _all_targets(letter, found[0], found[1] if letter == "Y" else None, K, J)


def _typed(text: str) -> str:
    """Return a text with the signs of a keyboard in place of those of typeset texts."""
    if text.isascii():
        return text
    powers = _POWER.sub(lambda found: "**" + "".join(_SUPERSCRIPTS[each] for each in found[0]), text)
    return powers.translate(_TYPESET)


def _parts(text: str, label: str) -> list[str]:
    """Split a right-hand side into sums of at most `_CHUNK` terms, after a scan of all its tokens."""
    text = _typed(" ".join(text.split())).replace("^", "**")
    cuts, terms, operand = [0], 0, False
    runs = [0]  # the operators one inside the other since the last sum, for every open bracket
    depth = 1
    position = 0
    while position < len(text):
        if text[position] == " ":
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            fail(label, f"unexpected {_named(text[position])}. {ALLOWED}")
        token, start, position = match[0], position, match.end()
        if match["op"] is None:
            if operand:
                fail(label, f"expected an operator before {token!r:.40}.")
            if len(token) > MAX_DIGITS:
                fail(label, f"a number or name of {len(token)} characters; expected at most {MAX_DIGITS}.")
            operand = True
        elif token in "([":
            runs.append(0)
            depth += 1
            operand = False
        elif token in ")]":
            if len(runs) == 1:
                fail(label, f"{token!r} closes nothing.")
            depth -= 1 + runs.pop()
            operand = True
        else:
            ends = operand and token in "+-,"
            depth += -runs[-1] if ends else 1
            runs[-1] = 0 if ends else runs[-1] + 1
            if ends and len(runs) == 1:
                terms += 1
                if terms % _CHUNK == 0:
                    cuts.append(start)
            operand = False
        if depth > MAX_DEPTH:
            fail(label, f"nested more than {MAX_DEPTH} deep.")
    return [text[start:end].strip() for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]


def _named(character: str) -> str:
    """Return a character for a message, with its name if a reader may take it for another one."""
    if character.isascii():
        return repr(character)
    return f"{character!r} (U+{ord(character):04X}, {unicodedata.name(character, 'unnamed')})"


def _tree(text: str, label: str) -> ast.expr:
    """Return Python's syntax tree of a scanned part."""
    if not text:
        fail(label, "the right-hand side is empty. For no tendency, write 0.")
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        near = text[max(0, (error.offset or 1) - 10) : (error.offset or 1) + 10]
        fail(label, f"{error.msg} near {near!r}. {ALLOWED}")
    except (ValueError, RecursionError, MemoryError):
        fail(label, "a sum in parentheses that is too long, or nested too deep.")


def index(part: Part, node: ast.expr, name: str, bound: int | None, size: int) -> int:
    """Return an index before wrapping: a number, or the running index `name` (now `bound`) with an offset."""
    expected = f"{name}, {name}+1, {name}-1, .. or one of 0 .. {size - 1}"
    shift: Any = 0
    match node:
        case ast.Constant(value=value) if type(value) is int:
            if value >= size:
                part.fail(f"the index {part.show(node)} is not one of 0 .. {size - 1}.")
            return value
        case ast.Name(id=found):
            pass
        case ast.BinOp(left=ast.Name(id=found), op=ast.Add(), right=ast.Constant(value=shift)) if type(shift) is int:
            pass
        case ast.BinOp(left=ast.Name(id=found), op=ast.Sub(), right=ast.Constant(value=value)) if type(value) is int:
            shift = -value
        case _:
            part.fail(f"the index {part.show(node)!r} is not {expected}.")
    if found != name:
        part.fail(f"the index {part.show(node)!r} is not {expected}.")
    if abs(shift) > size:
        part.fail(f"the index {part.show(node)!r} is further than {size} away.")
    if bound is None:
        part.fail(f"the index {name} means nothing here, because it is not left of '='.")
    return bound + shift


def call(part: Part, node: ast.Call) -> str:
    """Return the name of the called function, after checking the call."""
    if not isinstance(node.func, ast.Name):
        part.fail(f"{part.show(node.func)!r} cannot be called. {ALLOWED}")
    name = node.func.id
    if name not in FUNCTIONS:
        part.fail(f"there is no function {name!r}.{nearest(name, FUNCTIONS)}")
    if node.keywords or len(node.args) != FUNCTIONS[name]:
        part.fail(f"{name} takes {FUNCTIONS[name]} argument(s), got {part.show(node)!r}.")
    return name
