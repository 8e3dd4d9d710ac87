"""What may be written, what may not, and that nothing that strangers send does more than raise an error."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest

from l96bench.equations import EquationSet
from l96bench.equations.grammar import FUNCTIONS, MAX_DEPTH, MAX_LENGTH
from l96bench.errors import EquationError, ModelError

K, J = 8, 4
RING = "X[k] + X[k+1] + X[k+2] + X[k+3] + X[k-1] + X[k-2] + X[k-3] + X[k-4]"

FOREIGN = [
    "__import__('os').system('true')", "eval(X[k])", "exec(1)", "open(X[k])", "X.__class__", "X[k].real",
    "().__class__", "lambda: 1", "[X[k] for k in X]", "sum(X[k] for k in X)", "{1: 2}", "[1, 2]", "(1, 2)", "()",
    "X[k] if X[k] else 1", "X[k] and 1", "not X[k]", "X[k] < 1", "X[k] == 1", "(X[k] := 1)", "~X[k]", "X[k] // 2",
    "X[k] % 2", "X[k] @ X[k]", "X[k] << 3", "X[k]; 1", "X[k]\nimport os", "X[k] # x", "print(1)", "'a'", '"X"', "f'1'",
    "`1`", "\\", "$x$", "...", "True", "None", "await 1", "yield", "*X[k]", "sin(*X[k])", "sin(x=X[k])", "\x00X[k]",
]  # fmt: skip
STRANGE = [
    "\u2169[k]",
    "\u0425[k]",
    "\uff11",
    "X[k]*\u200bX[k]",
    "\u03c0",
    "sin\u200b(X[k])",
]
NUMBERS = [
    "nan", "inf", "NaN*X[k]", "-inf", "1e400", "1e99999999999", "-1e999", "1_000", "0x10", "0b11", "0o7", "1e", "1..2",
    "1j", "1+2j", "1" * 5000, "1e300*1e300", "9**9**9", "9**9**9**9", "2**8000", "2**-8000", "1/(1e-300*1e-300)",
    "1/0", "0**-1", "X[k]/(X[k]-X[k])", "1/(2*X[k] - X[k]/0.5)", "(-8)**0.5", "log(0)", "log(-1)", "sqrt(-1)",
    "exp(1000)", "(1e-300)**20",
]  # fmt: skip
INDICES = [
    "X", "X[]", "X[8]", "X[-1]", "X[k+100]", "X[k+9]", "X[k, k]", "X[j]", "X[2*k]", "X[k-k]", "X[1.0]", "X[True]",
    "X[k+True]", "X[k+1.0]", "X[0:2]", "X[k:]", "X[X[0]]", "X[k][k]", "X(k)", "Y[k]", "Y[k, k]", "Y[k, 4]", "Y[8, 0]",
    "Y[k, j]", "Y[j, k]", "Y[k, 0, 0]", "Z[k]", "k", "j*2", "sum(Y)", "sum(Y[k, 0])", "sum(X[k])", "sum(1)", "sum()",
    "sum(Y[k], 1)", "X[k]X[k]", "2 X[k]", "2(X[k])", "(X[k])(1)",
]  # fmt: skip
SHAPES = [
    "", "   ", "dX[k]/dt =", "=", "1 +", "* X[k]", "(X[k]", "X[k)", "X[k))", "X[k", ")(", "sin", "sin()", "sin X[k]",
    "sin(X[k], X[k])", "maximum(X[k])", "foo(X[k])", "sin(X[k])(2)", "X[k],", "[X[k]]",
]  # fmt: skip
LARGE = [
    "(" * 5000 + "1" + ")" * 5000,
    "-" * 100_000 + "1",
    "2" + "**2" * 500,
    "1.5" + "**1.5" * 80 + "**X[k]",
    "sin(" * (MAX_DEPTH + 1) + "1" + ")" * (MAX_DEPTH + 1),
    "1" + "+1" * 300_000,
    "(1" + "+1" * 100_000 + ")",
    "x" * 100,
    "((X[k]**9)**9)**9",
    "X[k]**21",
    "X[k]**-21",
    "X[k]**1000000000",
    "*".join(["X[k]"] * 21),
    "*".join(["X[k]/X[k+1]"] * 60),
    f"({RING})**20",
    f"({RING} + 1)**5*({RING} + 2)**5",
    f"X[k]**20/({RING} + 1)",
    "+".join(f"1/{n}" for n in range(3, 6000)),
    "+".join(f"sin({n}*X[k])" for n in range(1, 100)),
    "sin((" * 8 + f"({RING})**3" + ")**9)" * 8,
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "text", [*FOREIGN, *STRANGE, *NUMBERS, *INDICES, *SHAPES, *LARGE], ids=lambda text: repr(text[:30])
)
def test_what_is_no_equation_is_an_error_and_soon(text: str) -> None:
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(EquationError) as caught:
            EquationSet.parse([text], K, J)
    assert time.process_time() - start < 2.0  # they take 0.0 to 0.3 s
    assert len(str(caught.value)) < 700
    assert isinstance(caught.value, ModelError)


@pytest.mark.parametrize("texts", [None, 3, [3], ["X[k]", None], b"X[k]", [b"X[k]"], {"X": "X[k]"}, object()])
def test_what_is_no_list_of_texts_is_an_error(texts: object) -> None:
    with pytest.raises(EquationError, match="expected a list of equations as strings, got"):
        EquationSet.parse(texts, K)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("X[k] + Z[k]", r"equation 1, 'X\[k\] \+ Z\[k\]': 'Z\[k\]' has no meaning here. Allowed are decimal numbers"),
        ("X[9]", r"the index 9 is not one of 0 .. 7\."),
        ("X[k-20]", r"the index 'k-20' is further than 8 away"),
        ("sine(X[k])", r"there is no function 'sine'\. Did you mean .*'sin'"),
        ("sin(X[k], 1)", r"sin takes 1 argument\(s\), got 'sin\(X\[k\], 1\)'"),
        ("Y[k, 0]", r"'Y\[k, 0\]': this system has no fast variables Y"),
        ("X[k]**30", r"a power is of degree 30; expected at most 20"),
        ("2 X[k]", r"expected an operator before 'X'"),
        ("X[k] & 1", r"unexpected '&'\. Allowed are"),
        ("X[k] — 1", r"unexpected '—' \(U\+2014, EM DASH\)\. Allowed are"),
        ("Х[k]", r"unexpected 'Х' \(U\+0425, CYRILLIC CAPITAL LETTER HA\)"),
        ("dX[9]/dt = 1", r"expected the index k or one of 0 .. 7 left of '=', got '9'"),
        ("dZ[k]/dt = 1", r"expected dX\[k\]/dt, dX\[3\]/dt left of '=', got 'dZ\[k\]/dt'"),
        ("dX[3]/dt = X[k]", r"the index k means nothing here, because it is not left of '='"),
    ],
)
def test_an_error_says_what_and_what_is_allowed(text: str, says: str) -> None:
    with pytest.raises(EquationError, match=says):
        EquationSet.parse([text], K)


@pytest.mark.parametrize(
    "text",
    [
        "dX[k]/dt = X[k\u22121]*(X[k+1] \u2212 X[k\u22122]) \u2212 X[k] + 8 + 0.5*X[k]**3",
        "dX[k]/dt = X[k\u20131]*(X[k+1] \u2013 X[k\u20132]) \u2013 X[k] + 8 + 0.5*X[k]**3",
        "dX[k]/dt = X[k-1]\u00d7(X[k+1] - X[k-2]) - X[k] + 8 + X[k]³\u00f72",
        "dX[k]/dt = X[k-1]\u00b7(X[k+1]\u00a0-\u2009X[k-2]) - X[k] + 8 + 0.5\u22c5X[k]³",
        "dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8 + 0.5*X[k]⁻¹*X[k]⁴",
        "dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8 + 0.5*X[k]¹⁵/X[k]¹²",
    ],
)
def test_typeset_signs_are_read_as_those_of_a_keyboard(text: str) -> None:
    plain = "dX[k]/dt = X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8 + 0.5*X[k]**3"
    states = np.random.default_rng(0).normal(3.0, 4.0, (5, K))
    found = EquationSet.parse([text], K)
    np.testing.assert_allclose(found.tendency(states), EquationSet.parse([plain], K).tendency(states), rtol=1e-12)


def test_every_function_may_be_called() -> None:
    for name, n_arguments in FUNCTIONS.items():
        arguments = ", ".join(["X[k]", "X[k+1]"][:n_arguments])
        assert EquationSet.parse([f"{name}({arguments})"], K).n_terms == K * n_arguments


def test_equations_for_all_points_one_by_one_and_bare_ones_say_the_same() -> None:
    everywhere = EquationSet.parse(["dX[k]/dt = X[k-1]*X[k+1] - X[k] + 8"], K)
    one_by_one = [f"dX[{k}]/dt = X[{(k - 1) % K}]*X[{(k + 1) % K}] - X[{k}] + 8" for k in range(K)]
    assert EquationSet.parse("X[k-1]*X[k+1] - X[k] + 8", K) == everywhere
    assert EquationSet.parse(["X[k-1]*X[k+1] - X[k] + 8"], K) == everywhere
    assert EquationSet.parse(["X[k-1]*X[k+1] - X[k] + 8"] * K, K) == everywhere
    assert EquationSet.parse(one_by_one, K) == everywhere
    assert EquationSet.parse(one_by_one[::-1], K) == everywhere
    assert EquationSet.parse([text.split("=")[1] for text in one_by_one], K) == everywhere


def test_equations_of_two_scales() -> None:
    X, Y = "X[k-1] - sum(Y[k]) + 1", "Y[k,j+1] - Y[k-1,j] + X[k]"
    everywhere = EquationSet.parse([f"dX[k]/dt = {X}", f"dY[k,j]/dt = {Y}"], K, J)
    assert EquationSet.parse([X, Y], K, J) == everywhere
    assert EquationSet.parse([X] * K + [Y] * K * J, K, J) == everywhere
    named = [f"dX[{k}]/dt = X[{(k - 1) % K}] - Y[{k},0] - Y[{k},1] - Y[{k},2] - Y[{k},3] + 1" for k in range(K)]
    for m in range(K * J):
        (k, j), (next_k, next_j) = divmod(m, J), divmod((m + 1) % (K * J), J)
        named.append(f"dY[{k},{j}]/dt = Y[{next_k},{next_j}] - Y[{(k - 1) % K},{j}] + X[{k}]")
    assert EquationSet.parse(named, K, J) == everywhere
    by_column = [f"dY[k,{j}]/dt = {Y.replace('j+1', f'{j}+1').replace(',j]', f',{j}]')}" for j in range(J - 1)]
    by_column = [text.replace(f"{j}+1", str(j + 1)) for j, text in enumerate(by_column)]
    some = EquationSet.parse(by_column, K, J)
    assert all(some.equations[K + m] == everywhere.equations[K + m] for m in range(K * J) if m % J < J - 1)


def test_indices_are_periodic_and_j_runs_on_into_the_next_sector() -> None:
    assert EquationSet.parse(["dX[k]/dt = X[k+8]*X[k-7]"], K) == EquationSet.parse(["dX[k]/dt = X[k]*X[k+1]"], K)
    on = EquationSet.parse(["dY[k,j]/dt = Y[k,j+1]"], K, J)
    assert on.monomials(K + 3) == {((K + 4, 1),): 1.0}  # after Y[0,3] comes Y[1,0]
    assert on.monomials(K + K * J - 1) == {((K, 1),): 1.0}
    assert EquationSet.parse(["dY[k,j]/dt = Y[k+1,j-4]"], K, J) == EquationSet.parse(["dY[k,j]/dt = Y[k,j]"], K, J)


def test_missing_targets_are_zero() -> None:
    assert EquationSet.parse([], K).equations == ((),) * K
    only = EquationSet.parse(["dX[3]/dt = 2*X[1]"], K, J)
    assert only.support == {(3, ((1, 1),))}
    assert EquationSet.parse(["X[k]"], K, J).n_terms == K


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["dX[k]/dt = 1", "dX[k]/dt = 2"], r"gives the tendency of X\[0\] again, after equation 1"),
        (["dX[k]/dt = 1", "dX[3]/dt = 2"], r"gives the tendency of X\[3\] again"),
        (["dX[3]/dt = 1", "dX[3]/dt = 1"], r"gives the tendency of X\[3\] again"),
        (["dY[k,j]/dt = 1", "dY[3,2]/dt = 2"], r"gives the tendency of Y\[3, 2\] again"),
        (["dX[k]/dt = 1", "2"], "some equations have a left-hand side and some have none"),
        (["1", "2", "3"], r"expected 1 right-hand side .* or 2 \(X\[k\], then Y\[k,j\]\), 8 or 40, got 3"),
        (["dX[k]/dt = X[k] = 3"], "has more than one '='"),
        (["1"] * 41, "expected at most 40 equations"),
        (["1" + " " * MAX_LENGTH], "characters together"),
    ],
)
def test_lists_that_do_not_fit_together(texts: list[str], says: str) -> None:
    with pytest.raises(EquationError, match=says):
        EquationSet.parse(texts, K, J)


@pytest.mark.parametrize(
    "left",
    ["dX[k+1]/dt", "dX[j]/dt", "dX[-1]/dt", "dX[]/dt", "dX[8]/dt", "dX[\u0663]/dt", "dX[1]/dx", "X[k]", "dX/dt", "U[k]",
     "dY[k]/dt", "dX[k,j]/dt", "dY[j,k]/dt", "dY[0,4]/dt", "dX[k]/dt[0]", "1", "", "dX[99999999999999]/dt"],
)  # fmt: skip
def test_left_hand_sides_that_name_nothing(left: str) -> None:
    with pytest.raises(EquationError, match="left of '='"):
        EquationSet.parse([f"{left} = 1"], K, J)


def test_whitespace_and_carets_are_free() -> None:
    plain = EquationSet.parse(["dX[k]/dt = X[k-1]**2 - 2*X[k]"], K)
    assert EquationSet.parse(["  dX [ k ] / dt=X[ k -1 ]^2\n\t- 2 * X [k]  "], K) == plain
