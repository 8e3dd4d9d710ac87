"""Fast evaluation of tendencies for many states, by a compiled kernel over flat arrays of monomials and atoms."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from l96bench.equations.terms import POWER, SUM, Atoms, Factor, Monomial, Terms
from l96bench.jit import kernel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CODES = {name: code for code, name in enumerate((SUM, POWER, "abs", "arctan", "cos", "cosh", "exp", "log", "maximum"))}
_CODES |= {name: code for code, name in enumerate(("minimum", "sign", "sin", "sinh", "sqrt", "tan", "tanh"), 9)}


class Program(NamedTuple):
    """The flat arrays that the kernel reads.

    `powers` (n, 2) are factors and exponents of all monomials (a factor is a state variable or, after those, an atom),
    and `monomials` their starts. `values` are the coefficients of the targets, then of the arguments of atoms, `used`
    the monomial of each, `targets` the start of each target. `arguments` (n_atoms, 3) are the start of an atom's first
    argument in `values`, its end and the end of the second; `codes` are the functions, each atom after those that it
    needs.
    """

    powers: IntArray
    monomials: IntArray
    values: FloatArray
    used: IntArray
    targets: IntArray
    arguments: IntArray
    codes: IntArray


def compiled(equations: Iterable[Terms], atoms: Atoms, n_state: int) -> Program:
    """Compile tendencies into a program."""
    equations = list(equations)
    places = _places(equations, atoms, n_state)
    table: dict[Monomial, int] = {}
    values: list[float] = []
    used: list[int] = []

    def lay(terms: Terms) -> int:
        for monomial, value in terms.items():
            values.append(value)
            used.append(table.setdefault(monomial, len(table)))
        return len(values)

    targets = [0, *(lay(terms) for terms in equations)]
    arguments, codes = [], []
    for factor in places:
        atom = atoms[factor]
        bounds = [len(values), *(lay(terms) for terms in atom.arguments)]
        arguments.append((*bounds, bounds[-1])[:3])
        codes.append(_CODES[atom.function])
    powers = [
        (factor if isinstance(factor, int) else places[factor], exponent)
        for monomial in table
        for factor, exponent in monomial
    ]
    starts = np.cumsum([0, *map(len, table)])
    return Program(
        np.array(powers, dtype=np.int64).reshape(-1, 2),
        starts.astype(np.int64),
        np.array(values, dtype=np.float64),
        np.array(used, dtype=np.int64),
        np.array(targets, dtype=np.int64),
        np.array(arguments, dtype=np.int64).reshape(-1, 3),
        np.array(codes, dtype=np.int64),
    )


def _places(equations: list[Terms], atoms: Atoms, n_state: int) -> dict[str, int]:
    """Return the places of all atoms that are needed, each after those in its arguments."""
    places: dict[str, int] = {}

    def place(factor: Factor) -> None:
        if isinstance(factor, str) and factor not in places:
            for terms in atoms[factor].arguments:
                place_all(terms)
            places[factor] = n_state + len(places)

    def place_all(terms: Terms) -> None:
        for monomial in terms:
            for factor, _ in monomial:
                place(factor)

    for terms in equations:
        place_all(terms)
    return places


def run(program: Program, states: FloatArray) -> FloatArray:
    """Return tendencies (n, n_targets) of states (n, n_state), NaN or infinite where they are undefined or overflow."""
    out = np.empty((len(states), len(program.targets) - 1))
    _run(states, out, *program)
    return out


@kernel
def _power(base: float, exponent: int) -> float:
    """Return a whole power by repeated multiplication."""
    product = 1.0
    for _ in range(abs(exponent)):
        product *= base
    return 1.0 / product if exponent < 0 else product


@kernel
def _monomial(row: FloatArray, powers: IntArray, start: int, end: int) -> float:
    """Return the product of the factors from start to end."""
    product = 1.0
    for i in range(start, end):
        exponent = powers[i, 1]
        if exponent == 1:
            product *= row[powers[i, 0]]
        else:
            product *= _power(row[powers[i, 0]], exponent)
    return product


@kernel
def _function(code: int, a: float, b: float) -> float:
    """Return the value of the function with that code, in the order of `_CODES`."""
    if code == 0:
        return a
    if code == 1:
        return a**b
    if code == 2:
        return abs(a)
    if code == 3:
        return math.atan(a)
    if code == 4:
        return math.cos(a)
    if code == 5:
        return math.cosh(a)
    if code == 6:
        return math.exp(a)
    if code == 7:
        return math.log(a)
    if code == 8:
        return np.maximum(a, b)
    if code == 9:
        return np.minimum(a, b)
    if code == 10:
        return np.sign(a)
    if code == 11:
        return math.sin(a)
    if code == 12:
        return math.sinh(a)
    if code == 13:
        return math.sqrt(a)
    if code == 14:
        return math.tan(a)
    return math.tanh(a)


@kernel
def _run(
    states: FloatArray,
    out: FloatArray,
    powers: IntArray,
    monomials: IntArray,
    values: FloatArray,
    used: IntArray,
    targets: IntArray,
    arguments: IntArray,
    codes: IntArray,
) -> None:
    """Fill out (n, n_targets): for each row the atoms in order, every monomial once, then the sums."""
    n_state = states.shape[1]
    n_targets = targets.shape[0] - 1
    row = np.empty(n_state + codes.shape[0])
    products = np.empty(monomials.shape[0] - 1)
    sums = np.zeros(2)
    for i in range(states.shape[0]):
        for m in range(n_state):
            row[m] = states[i, m]
        for atom in range(codes.shape[0]):
            for side in range(2):
                total = 0.0
                for term in range(arguments[atom, side], arguments[atom, side + 1]):
                    m = used[term]
                    total += values[term] * _monomial(row, powers, monomials[m], monomials[m + 1])
                sums[side] = total
            row[n_state + atom] = _function(codes[atom], sums[0], sums[1])
        for m in range(products.shape[0]):
            products[m] = _monomial(row, powers, monomials[m], monomials[m + 1])
        for target in range(n_targets):
            total = 0.0
            for term in range(targets[target], targets[target + 1]):
                total += values[term] * products[used[term]]
            out[i, target] = total
