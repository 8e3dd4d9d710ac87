"""Four doubles side by side as a type of Numba: what the vector instructions of a processor work on.

LLVM vectorizes simple loops by itself, but not sums in a fixed order, nor loops that carry the neighbours of a ring on
from one pass to the next. The functions here and the operators +, - and * do, element by element in IEEE arithmetic,
so that the bits are those of four scalars. Outside of kernels lanes are arrays of length 4.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import lower_builtin, models, register_model, type_callable
from numba.np.arrayobj import make_array
from numpy.typing import NDArray

WIDTH = 4
"""Doubles in lanes."""

_VECTOR = ir.VectorType(ir.DoubleType(), WIDTH)
_ALIGNMENT = 8


class _Lanes(types.Type):
    """The type of lanes in a kernel."""

    def __init__(self) -> None:
        super().__init__("lanes")


_LANES = _Lanes()


@register_model(_Lanes)
class _Model(models.PrimitiveModel):
    """Lanes are one vector of LLVM."""

    def __init__(self, manager: Any, lanes: types.Type) -> None:
        super().__init__(manager, lanes, _VECTOR)


def load(cells: NDArray, i: int) -> NDArray:
    """Return lanes i of `cells` (4 n,)."""
    return cells[WIDTH * i : WIDTH * (i + 1)].copy()


def store(cells: NDArray, i: int, lanes: NDArray) -> None:
    """Overwrite lanes i of `cells` (4 n,)."""
    cells[WIDTH * i : WIDTH * (i + 1)] = lanes


def fill(value: float) -> NDArray:
    """Return lanes that all hold a number."""
    return np.full(WIDTH, value)


def turn_left(lanes: NDArray) -> NDArray:
    """Return lanes that hold what the next one held; the last holds what the first one held."""
    return np.roll(lanes, -1)


def turn_right(lanes: NDArray) -> NDArray:
    """Return lanes that hold what the one before held; the first holds what the last one held."""
    return np.roll(lanes, 1)


@type_callable(load)
def _type_load(_: Any) -> Callable[..., Any]:
    return lambda cells, i: _LANES


@type_callable(store)
def _type_store(_: Any) -> Callable[..., Any]:
    return lambda cells, i, lanes: types.none


@type_callable(fill)
def _type_fill(_: Any) -> Callable[..., Any]:
    return lambda value: _LANES


@type_callable(turn_left)
@type_callable(turn_right)
def _type_turn(_: Any) -> Callable[..., Any]:
    return lambda lanes: _LANES


def _address(context: Any, builder: Any, kind: types.Array, cells: Any, i: Any) -> Any:
    """Return the address of lanes i."""
    array = make_array(kind)(context, builder, cells)
    return builder.gep(builder.bitcast(array.data, _VECTOR.as_pointer()), [i])


@lower_builtin(load, types.Array, types.Integer)
def _lower_load(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.load(_address(context, builder, signature.args[0], *arguments), align=_ALIGNMENT)


@lower_builtin(store, types.Array, types.Integer, _Lanes)
def _lower_store(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    cells, i, lanes = arguments
    builder.store(lanes, _address(context, builder, signature.args[0], cells, i), align=_ALIGNMENT)
    return context.get_dummy_value()


@lower_builtin(fill, types.Float)
def _lower_fill(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    lanes = ir.Constant(_VECTOR, ir.Undefined)
    for lane in range(WIDTH):
        lanes = builder.insert_element(lanes, arguments[0], ir.Constant(ir.IntType(32), lane))
    return lanes


def _lower_turn(turn: Callable[..., Any], by: int) -> None:
    """Implement a turn as a shuffle, by the lanes that each new one is taken from."""
    order = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [(lane + by) % WIDTH for lane in range(WIDTH)])

    @lower_builtin(turn, _Lanes)
    def shuffle(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.shuffle_vector(arguments[0], arguments[0], order)


def _lower_operator(symbol: Any, instruction: str) -> None:
    """Implement an operator of two lanes as one instruction."""

    @infer_global(symbol)
    class Template(ConcreteTemplate):
        cases = (signature(_LANES, _LANES, _LANES),)

    @lower_builtin(symbol, _Lanes, _Lanes)
    def combine(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return getattr(builder, instruction)(*arguments)


_lower_turn(turn_left, 1)
_lower_turn(turn_right, -1)
_lower_operator(operator.add, "fadd")
_lower_operator(operator.sub, "fsub")
_lower_operator(operator.mul, "fmul")
