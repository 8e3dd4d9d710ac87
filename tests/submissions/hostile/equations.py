"""Hostile equations: code, towers of powers, and files that hold something else."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator

Entry = tuple[str, bytes, str]


def entries() -> Iterator[Entry]:
    texts = {
        "import": "__import__('os').system('touch executed')",
        "eval": "eval('1')",
        "lambda": "(lambda: 1)()",
        "attribute": "X[k].__class__",
        "comprehension": "[x for x in X]",
        "walrus": "(y := 1)",
        "string": "'a'*X[k]",
        "fstring": "f'{1}'",
        "call": "open('/etc/passwd')",
        "unknown-function": "gamma(X[k])",
        "unknown-variable": "Z[k]",
        "power-tower": "9**9**9**9**9",
        "huge-power": "X[k]**99999999",
        "expansion": "(X[k] + X[k-1] + X[k-2] + X[k+1] + 1)**60",
        "deep": "(" * 500 + "X[k]" + ")" * 500,
        "minus": "-" * 5000 + "X[k]",
        "digits": "1" * 5000 + "*X[k]",
        "nan": "nan*X[k]",
        "infinity": "inf",
        "overflow": "1e308*10*X[k]",
        "zero-division": "X[k]/0",
        "index": "X[k**2]",
        "index-real": "X[1.5]",
        "index-far": "X[8]",
        "slice": "X[1:3]",
        "two-indices": "X[k, 1]",
        "no-index": "X",
        "empty": "",
        "unclosed": "(X[k]",
        "adjacent": "2 X[k]",
        "comparison": "X[k] > 0",
        "boolean": "X[k] and 1",
        "hex": "0x10*X[k]",
        "complex": "1j*X[k]",
        "underscore": "1_000*X[k]",
        "unicode": "\uff38[k]",
        "em-dash": "\u20141*X[k]",
        "semicolon": "X[k]; import os",
        "comment": "X[k] # a",
        "null": "X[k]\0",
        "html": "<script>alert(1)</script>",
        "matrix": "X @ X",
        "starred": "*X",
        "keyword": "sin(x=1)",
        "no-arguments": "sin()",
        "many-arguments": "sin(X[k], 1)",
        "await": "await X[k]",
        "ternary": "1 if X[k] else 2",
        "dict": "{1: 2}",
        "shift": "X[k] << 3",
        "floor": "X[k] // 2",
        "modulo": "X[k] % 2",
        "invert": "~X[k]",
        "bit-or": "X[k] | 1",
    }
    for key, text in texts.items():
        yield f"equations/rhs-{key}.json", json.dumps([f"U[k] = {text}"]).encode(), ""
    lefts = {
        "left-other": "V[k] = 1",
        "left-X": "dX[k]/dt = 1",
        "left-twice": "U[1] = U[2] = 1",
        "left-far": "U[9] = 1",
        "left-code": "os.system('x') = 1",
        "left-Y": "dY[k,j]/dt = 1",
    }
    for key, text in lefts.items():
        yield f"equations/{key}.json", json.dumps([text]).encode(), ""
    files: dict[str, tuple[bytes, str]] = {
        "same-target.json": (b'["U[1] = 1", "U[1] = 2"]', ""),
        "number.json": (b"3", "expected a list of equations"),
        "null.json": (b"null", "expected a list of equations"),
        "text.json": (b'"U[k] = 1"', "expected a list of equations"),
        "none.json": (b"[]", "expected a list of equations"),
        "nothing.json": (b"", "not valid JSON"),
        "numbers.json": (b"[1, 2]", "expected a list of equations"),
        "nested.json": (b'[["U[k] = 1"]]', "expected a list of equations"),
        "mapping-of-texts.json": (b'{"a": "U[k] = 1"}', "expected a list of equations"),
        "key-twice.json": (b'{"a": ["1"], "a": ["2"]}', "a key is there twice"),
        "nan.json": (b"[NaN]", "is no number"),
        "infinity.json": (b"[-Infinity]", "is no number"),
        "digits.json": (b"[" + b"1" * 5000 + b"]", "not valid JSON"),
        "deep.json": (b"[" * 20_000, "not valid JSON"),
        "deep-closed.json": (b"[" * 20_000 + b"]" * 20_000, "not valid JSON"),
        "not-utf8.json": (b'["\xff"]', "not valid JSON"),
        "cut.json": (b'["U[k] = 1"', "not valid JSON"),
        "two.json": (b'["1"] ["2"]', "not valid JSON"),
        "pickle.json": (pickle.dumps(["1"], 2), "not valid JSON"),
        "tag.yaml": (b"- !!python/object/apply:os.system ['touch executed']\n", "tags are not allowed"),
        "laughs.yaml": (b"- &a 'X[k]'\n- *a\n", "anchors are not allowed"),
        "numbers.yaml": (b"- 1\n- 2\n", "expected a list of equations"),
        "mapping.yaml": (b"a: b\n", "expected a list of equations"),
        "deep.yaml": (b"- " * 100 + b"a", "inside each other"),
        "nothing.yaml": (b"", "expected a YAML document"),
        "infinite.yaml": (b"- 1e999\n", "too large"),
    }
    for key, (data, reason) in files.items():
        yield f"equations/{key}", data, reason
