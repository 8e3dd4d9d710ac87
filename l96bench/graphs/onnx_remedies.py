"""Hints for messages: the options of the usual exporters with which the file that they write can be run."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["EXTERNAL_DATA", "INLINED", "OTHER_DOMAIN", "OTHER_OPSET", "STEP", "WHOLE_RING", "shape_remedy"]

EXTERNAL_DATA = (
    "torch.onnx.export(..., external_data=False) writes one file; of two files, "
    "onnx.save(onnx.load('closure.onnx'), 'closure.onnx') makes one"
)
OTHER_OPSET = "torch.onnx.export(..., opset_version=18), or skl2onnx's target_opset={'': 17, 'ai.onnx.ml': 3}"
INLINED = "onnx.inliner.inline_local_functions(onnx.load('closure.onnx'))"
STEP = "a closure with memory or noise has other inputs, which `step:` in submission.yaml names: see docs/onnx.md"
WHOLE_RING = (
    "fit it to U of all points, (n, K), or fit l96bench.LocalRegressor(estimator), which l96bench.export_onnx writes"
)
OTHER_DOMAIN = "the file as the exporter wrote it, before any optimizer, has the standard ones"


def shape_remedy(is_input: bool, dims: Sequence[int | None], K: int | None) -> str:
    """Return what to change where the input X or the output U has these sizes (None if free) in place of (n, K)."""
    ring = "K" if K is None else str(K)
    if len(dims) != 2:
        if is_input:
            return f"begin the model with what its layers need, such as x.reshape(-1, 1, {ring}), so that it takes X"
        return f"end the model with .reshape(-1, {ring})"
    width = dims[1]
    if K is None or width in (None, K):
        return (
            f"export it with an example of two rows, torch.zeros(2, {ring}), and "
            "dynamic_shapes=({0: torch.export.Dim('n')},); with dynamo=False, "
            "input_names=['X'], output_names=['U'], dynamic_axes={'X': {0: 'n'}, 'U': {0: 'n'}}; with skl2onnx, "
            f"initial_types=[('X', DoubleTensorType([None, {ring}]))]"
        )
    if width % 2 and width < K:
        points = "single points" if width == 1 else f"{width} points around each"
        typed = f"begin with {_rows(width)}, and end with .reshape(-1, {ring})"
        return (
            f"a model of {points} is l96bench.LocalRegressor(estimator, radius={width // 2}), fitted to all X and U "
            f"and written by l96bench.export_onnx; in torch, {typed}"
        )
    return f"a model of {width} numbers is not one of these {ring} points; was it made for another regime?"


def _rows(width: int) -> str:
    """Return the rows of all points, of this width, in torch."""
    if width == 1:
        return "x.reshape(-1, 1)"
    near = range(-(width // 2), width // 2 + 1)
    return f"torch.stack([x.roll(-i, 1) for i in {list(near)}], -1).reshape(-1, {width})"
