"""What is printed, letter by letter; that it reads back is tested with the sets."""

from __future__ import annotations

import pytest

from l96bench.equations import EquationSet

K, J = 8, 4


@pytest.mark.parametrize(
    ("text", "written", "latex"),
    [
        (
            "X[k-1]*(X[k+1] - X[k-2]) - X[k] + 8",
            "-X[k-2]*X[k-1] + X[k-1]*X[k+1] - X[k] + 8.0",
            r"-X_{k-2} \, X_{k-1} + X_{k-1} \, X_{k+1} - X_{k} + 8",
        ),
        (
            "-0.123456789*X[k]**2 + 1.5e-7",
            "-0.123456789*X[k]**2 + 1.5e-07",
            r"-0.1235 \, X_{k}^{2} + 1.5 \times 10^{-7}",
        ),
        ("123456*X[k] - 1", "123456.0*X[k] - 1.0", r"1.235 \times 10^{5} \, X_{k} - 1"),
        ("0*X[k]", "0", "0"),
        ("1/X[k] - X[k]", "-X[k] + X[k]**-1", r"-X_{k} + X_{k}^{-1}"),
        ("1/(X[k]+X[k-1])", "(X[k-1] + X[k])**-1", r"\left(X_{k-1} + X_{k}\right)^{-1}"),
        ("2*sin(X[k+4])**2", "2.0*sin(X[k+4])**2", r"2 \, \sin\left(X_{k+4}\right)^{2}"),
        ("sqrt(abs(X[k]))", "sqrt(abs(X[k]))", r"\sqrt{\left|X_{k}\right|}"),
        ("maximum(X[k], 0)", "maximum(X[k], 0)", r"\max\left(X_{k}, 0\right)"),
        ("X[k]**1.5", "((X[k])**(1.5))", r"\left(\left(X_{k}\right)^{\left(1.5\right)}\right)"),
        (
            "sign(X[k])*tanh(X[k])",
            "sign(X[k])*tanh(X[k])",
            r"\operatorname{sgn}\left(X_{k}\right) \, \tanh\left(X_{k}\right)",
        ),
    ],
)
def test_equations_of_all_points(text: str, written: str, latex: str) -> None:
    equations = EquationSet.parse([text], K)
    assert equations.texts() == [f"dX[k]/dt = {written}"]
    assert equations.latex() == [rf"\frac{{dX_{{k}}}}{{dt}} = {latex}"]
    assert equations.texts("U") == [f"U[k] = {written}"]
    assert equations.latex("U") == [f"U_{{k}} = {latex}"]


def test_two_scales() -> None:
    texts = ["X[k+1] - 0.5*sum(Y[k-1]) + Y[k+1,2]", "-10*Y[k,j+1]*Y[k,j-3] + X[k] - Y[k+1,j+2]"]
    equations = EquationSet.parse(texts, K, J)
    assert equations.texts() == [
        "dX[k]/dt = X[k+1] + Y[k+1, 2] - 0.5*sum(Y[k-1])",
        "dY[k, j]/dt = -10.0*Y[k, j-3]*Y[k, j+1] + X[k] - Y[k+1, j+2]",
    ]
    assert equations.latex() == [
        r"\frac{dX_{k}}{dt} = X_{k+1} + Y_{k+1,2} - 0.5 \, \sum_j Y_{k-1,j}",
        r"\frac{dY_{k,j}}{dt} = -10 \, Y_{k,j-3} \, Y_{k,j+1} + X_{k} - Y_{k+1,j+2}",
    ]


def test_equations_one_by_one() -> None:
    texts = ["dX[0]/dt = X[7]*X[2] - 3", "dX[3]/dt = 2*sum(Y[1]) + Y[2,1]**2", "dY[1,3]/dt = sin(Y[0,0])"]
    equations = EquationSet.parse(texts, K, J)
    written, latex = equations.texts(), equations.latex()
    assert len(written) == len(latex) == K + K * J
    assert written[0] == "dX[0]/dt = X[2]*X[7] - 3.0"
    assert written[1] == "dX[1]/dt = 0"
    assert written[3] == "dX[3]/dt = Y[2, 1]**2 + 2.0*sum(Y[1])"
    assert written[K + J + 3] == "dY[1, 3]/dt = sin(Y[0, 0])"
    assert latex[3] == r"\frac{dX_{3}}{dt} = Y_{2,1}^{2} + 2 \, \sum_j Y_{1,j}"
    assert latex[K + J + 3] == r"\frac{dY_{1,3}}{dt} = \sin\left(Y_{0,0}\right)"
