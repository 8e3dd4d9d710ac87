"""Hostile descriptions: YAML of every wrong kind, and fields that are no plain text."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

Entry = tuple[str, bytes, str]


GOOD = """\
schema: l96bench/submission/1
name: honest net
authors: [A. Author]
kind: network
inputs: X_{k-2..k+2}
description: A network.
tasks: [subgrid-forcing/wilks-f20-v1]
artifacts: closure.onnx
training: []
"""


def replaced(key: str, line: str) -> bytes:
    """The good description with the line of one key replaced."""
    lines = [line if each.startswith(f"{key}:") else each for each in GOOD.splitlines()]
    return ("\n".join(lines) + "\n").encode()


def entries() -> Iterator[Entry]:
    texts: dict[str, tuple[bytes | str, str]] = {
        "empty": ("", "expected a YAML document"),
        "comment": ("# nothing\n", "expected a YAML document"),
        "scalar": ("hello", "expected a mapping"),
        "list": ("- a\n- b\n", "expected a mapping"),
        "null": ("~", "expected a mapping"),
        "number": ("1e999", "too large"),
        "binary": (b"\x00\x01\x02\x03", "not valid YAML"),
        "not-utf8": (b"name: \xff\xfe\xfa", "expected UTF-8"),
        "utf16": ("name: a".encode("utf-16"), "expected UTF-8"),
        "pickle": (pickle.dumps({"name": "a"}, 2), "expected UTF-8"),
        "elf": (b"\x7fELF\x02\x01\x01" + bytes(20), "not valid YAML"),
        "unclosed": ("name: [a", "not valid YAML"),
        "tab": ("name:\n\t- a", "not valid YAML"),
        "two-documents": (GOOD + "---\n" + GOOD, "expected one document"),
        "laughs": (
            "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*c, *c]\ne: [*d, *d]\n",
            "anchors are not allowed",
        ),
        "alias": ("a: *b\n", "aliases are not allowed"),
        "self-reference": ("&a [*a]", "anchors are not allowed"),
        "anchor-scalar": (replaced("name", "name: &a x"), "anchors are not allowed"),
        "anchor-key": (GOOD + "&a b: 1\n", "anchors are not allowed"),
        "merge": (GOOD + "<<: {name: x}\n", "merges (<<) are not allowed"),
        "twice": (GOOD + "name: other\n", "is there twice"),
        "twice-quoted": (GOOD + '"name": other\n', "is there twice"),
        "twice-number": ("1: a\n'1': b\n", "is there twice"),
        "list-as-key": ("? [a, b]\n: 1\n", "expected a text as a key"),
        "mapping-as-key": ("? {a: b}\n: 1\n", "expected a text as a key"),
        "null-key": ("~: 1\n", "expected a text as a key"),
        "nested-lists": ("[" * 100 + "]" * 100, "inside each other"),
        "nested-mappings": ("{a: " * 100 + "1" + "}" * 100, "inside each other"),
        "nested-block": ("".join(" " * i + "a:\n" for i in range(60)), "inside each other"),
        "nested-dashes": ("- " * 200 + "a", "inside each other"),
        "nested-keys": ("? " * 200 + "a", "expected a text as a key"),
        "nested-open": ("[" * 5000, "inside each other"),
        "directive": ("%YAML 9.9\n---\na: 1\n", "not valid YAML"),
        "surrogate": ('name: "\\uD800"\n', "surrogate"),
        "no-character": ('name: "\\UFFFFFFFF"\n', "not valid YAML"),
        "escape": ('name: "\\xZZ"\n', "not valid YAML"),
        "digits": (GOOD + "training_seed: " + "9" * 5000 + "\n", "too large"),
    }
    tags = [
        "!!python/object/apply:os.system ['touch x']",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!binary aGk=",
        "!!python/object/new:os.system [x]",
        "!!python/tuple [a]",
        "!!set {a}",
        "!!omap [a: 1]",
        "!!timestamp 2001-01-01",
        "!!str x",
        "!local x",
        "!<tag:yaml.org,2002:str> x",
        "!!float 1",
        "!!null ''",
        "!!python/object:object {}",
    ]
    texts |= {f"tag-{i:02d}": (replaced("name", f"name: {tag}"), "tags are not allowed") for i, tag in enumerate(tags)}
    names = {
        "script": "<script>alert(1)</script>",
        "image": "<img src=x onerror=alert(1)>",
        "link": "[a](javascript:alert(1))",
        "table": "a | b",
        "backtick": "`rm`",
        "heading-html": "<h1>a</h1>",
        "backslash": "a\\\\b",
        "entity": "&lt;b&gt;",
        "newline": "a\\nb",
        "carriage": "a\\rb",
        "bell": "a\\u0007b",
        "escape": "a\\u001b[2J",
        "bidi": "a\\u202Eb",
        "zero-width": "a\\u200Bb",
        "null": "a\\0b",
        "dollar": "$(id)",
        "semicolon-shell": "a && b",
        "quotes": 'a\\"b',
        "at": "@everyone",
        "tilde": "~~a~~",
        "stars": "**a**",
        "emphasis": "__a__",
        "blank": "   ",
        "empty": "",
        "long": "a" * 101,
        "spaces": " a ",
        "decomposed": "e\\u0301",
        "dots-only": "...",
        "slashes": "../../etc",
        "template": "{{ 7*7 }}`",
        "percent-s": "%s<",
        "emoji": "net \\U0001F600",
        "private": "a\\uE000",
    }
    reasons = {
        "blank": "expected no space",
        "empty": "at least 1 character",
        "long": "at most 100",
        "spaces": "expected no space",
        "decomposed": "expected no space at its ends, and composed characters",
    }
    texts |= {
        f"name-{key}": (
            replaced("name", f'name: "{text}"'),
            f"name: {reasons.get(key, 'expected letters')}".replace("name: at", "at"),
        )
        for key, text in names.items()
        if key != "slashes"
    }
    prose = {
        "script": "<script>x</script>",
        "comment": "a <!-- b",
        "link": "[x](http://a)",
        "entity": "&#60;b",
        "bidi": "a\\u202Eb",
        "control": "a\\u0000",
        "js": "see javascript:alert(1)",
        "image": "![x](http://a/b.png)",
        "iframe": "<iframe src=x>",
        "closing": "</td></table>",
        "php": "<?php",
    }
    expected = {"bidi": "printable", "control": "printable"}
    texts |= {
        f"description-{key}": (
            replaced("description", f'description: "{text}"'),
            f"expected {expected.get(key, 'plain text')}",
        )
        for key, text in prose.items()
        if key != "control"
    }
    texts["description-control"] = (replaced("description", 'description: "a\\u0007"'), "printable")
    texts["description-long"] = (replaced("description", "description: " + "a" * 2001), "at most 2000")
    paths = [
        "../closure.onnx",
        "/etc/passwd",
        "a/b.onnx",
        "..\\\\closure.onnx",
        "closure.onnx\\0.txt",
        "C:/closure.onnx",
        ".hidden.onnx",
        "-rf.onnx",
        "closure.pkl",
        "closure.pt",
        "closure.py",
        "closure.onnx.exe",
        "closure",
        "file:///etc/passwd.onnx",
        "http://a/closure.onnx",
        "closure.onnx ",
        " closure.onnx",
        "~/closure.onnx",
        "closure.ONNX",
        "con\\n.onnx",
        "%2e%2e.onnx",
        "submission.yaml",
        "python:os:system:x",
        "python:os",
        "python:os.path;x:y",
        "pickle:closure.onnx",
        "$HOME.onnx",
        "*.onnx",
        "clo\\u202Esure.onnx",
        "x" * 100 + ".onnx",
    ]
    texts |= {
        f"artifact-{i:02d}": (replaced("artifacts", f'artifacts: "{path}"'), "expected") for i, path in enumerate(paths)
    }
    lines = {
        "schema-2": ("schema", "schema: l96bench/submission/2", "schema"),
        "schema-number": ("schema", "schema: 1", "schema"),
        "name-number": ("name", "name: 1", "valid string"),
        "name-null": ("name", "name:", "valid string"),
        "name-list": ("name", "name: [a]", "valid string"),
        "name-true": ("name", "name: true", "valid string"),
        "authors-none": ("authors", "authors: []", "at least 1 item"),
        "authors-text": ("authors", "authors: me", "valid list"),
        "authors-many": ("authors", f"authors: [{', '.join(['a'] * 51)}]", "at most 50"),
        "authors-html": ("authors", "authors: ['<b>a</b>']", "expected letters"),
        "kind-html": ("kind", "kind: '<i>'", "expected letters"),
        "inputs-html": ("inputs", "inputs: 'X<sub>k</sub>'", "expected letters"),
        "license-html": ("license", "license: '<b>'", "should match pattern"),
        "tasks-none": ("tasks", "tasks: []", "at least 1 item"),
        "tasks-unknown": ("tasks", "tasks: [subgrid-forcing/wilks-f21-v1]", "Did you mean"),
        "tasks-version": ("tasks", "tasks: [subgrid-forcing/wilks-f20-v9]", "no task"),
        "tasks-path": ("tasks", "tasks: [../../x]", "no task"),
        "tasks-twice": ("tasks", "tasks: [subgrid-forcing/wilks-f20-v1, subgrid-forcing/wilks-f20-v1]", "once"),
        "tasks-mapping": ("tasks", "tasks: {a: b}", "valid list"),
        "artifacts-none": ("artifacts", "artifacts: {}", "at least 1"),
        "artifacts-other": ("artifacts", "artifacts: {wilks-f18: a.onnx}", "expected one for"),
        "artifacts-unused": ("artifacts", "artifacts: {default: a.onnx, arnold-c4: b.onnx}", "no task uses"),
        "artifacts-list": ("artifacts", "artifacts: [a.onnx]", "valid dict"),
        "artifacts-nested": ("artifacts", "artifacts: {default: {a: b}}", "valid string"),
        "training-text": ("training", "training: none", "valid list"),
        "training-split": ("training", "training: [{regime: wilks-f20, split: everything}]", "should be 'train'"),
        "training-own": ("training", "training: [{regime: wilks-f20, split: own}]", "expected the seeds"),
        "training-negative": ("training", "training: [{regime: wilks-f20, split: train, mtu: -1}]", "greater than 0"),
        "training-nan": ("training", "training: [{regime: wilks-f20, split: train, mtu: .nan}]", "valid number"),
        "training-infinite": ("training", "training: [{regime: a, split: train, mtu: 1e400}]", "too large"),
        "training-extra": ("training", "training: [{regime: wilks-f20, split: train, code: x}]", "unknown key"),
        "training-seeds": ("training", "training: [{regime: a, split: own, seeds: [-1]}]", "greater than or equal"),
        "training-html": ("training", "training: [{regime: '<b>', split: train}]", "expected letters"),
    }
    base = GOOD + "license: MIT\n"
    for key, (field, line, reason) in lines.items():
        source = "\n".join(line if each.startswith(f"{field}:") else each for each in base.splitlines()) + "\n"
        texts[key] = (source, reason)
    for field in ("schema", "name", "authors", "kind", "inputs", "description", "tasks", "artifacts", "training"):
        source = "\n".join(each for each in GOOD.splitlines() if not each.startswith(f"{field}:"))
        texts[f"without-{field}"] = (source, f"{field}: expected this key")
    for field in ("score", "__class__", "command", "verified", "status", "setup.py", "constructor"):
        texts[f"unknown-{field.strip('_').replace('.', '-')}"] = (GOOD + f"{field}: 1\n", f"{field}: unknown key")
    for key, (data, reason) in texts.items():
        yield f"description/{key}.yaml", data if isinstance(data, bytes) else data.encode(), reason
