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


SECOND = GOOD.replace("submission/1", "submission/2").replace("subgrid-forcing/wilks-f20-v1", "da-increment/dense-v1")


def second() -> dict[str, tuple[str, str]]:
    """Lines that schema 2 has and that are wrong, by name, each with a part of the reason."""
    links = {
        "http": "http://example.org",
        "javascript": "javascript:alert(1)",
        "javascript-inside": "https://example.org/#javascript:alert(1)",
        "data": "data:text/html,<script>alert(1)</script>",
        "password": "https://user:password@example.org/",
        "user": "https://example.org@evil.example/",
        "port": "https://example.org:8443/",
        "address": "https://127.0.0.1/",
        "local": "https://localhost/",
        "markup": "https://example.org/<b>",
        "closes": "https://example.org/a) [x](https://evil.example",
        "quote": 'https://example.org/\\"onmouseover=alert(1)',
        "letters": "https://ex\u0430mple.org/",
        "bidi": "https://example.org/\u202egpj.exe",
        "space": "https://example.org/a b",
        "newline": "https://example.org/\\nx",
        "percent": "https://example.org/%zz",
        "backslash": "https:\\\\\\\\example.org",
        "empty": "",
    }
    entries = {f"link-{key}": (f'links: {{paper: "{url}"}}', "expected a link") for key, url in links.items()}
    filters = {
        "unknown": ("{name: LETKFF, radius: 3}", "Did you mean 'LETKF'"),
        "path": ("{name: os.system}", "expected the name of a filter"),
        "no-name": ("{radius: 3}", "expected the name of a filter"),
        "text": ("LETKF", "expected the name of a filter"),
        "list": ("[LETKF]", "expected the name of a filter"),
        "protocol": ("{name: Filter}", "expected the name of a filter"),
        "option": ("{name: ETKF, n_members: 1000000}", "unknown key; known are name, rotate"),
        "near-option": ("{name: LETKF, raduis: 3}", "Did you mean 'radius'"),
        "number": ("{name: ETKF, rotate: 1}", "valid boolean"),
        "negative": ("{name: LETKF, radius: -1}", "expected a positive localization radius"),
        "zero": ("{name: EnKF, radius: 0}", "expected a positive localization radius"),
        "huge": ("{name: EnKF, radius: 1.0e300}", "less than or equal to 1000000"),
        "infinite": ("{name: EnKF, radius: .inf}", "valid number"),
        "nan": ("{name: EnKF, radius: .nan}", "valid number"),
        "true": ("{name: EnKF, radius: true}", "valid number"),
        "weight": ("{name: HybridEnKF, covariance: {scale: 0.1}, weight: 2}", "from 0 to 1"),
        "covariance-number": ("{name: HybridEnKF, covariance: 1, weight: 0.5}", "expected {scale: ..}"),
        "covariance-file": ("{name: ThreeDVar, covariance: /etc/passwd}", "expected {scale: ..}"),
        "covariance-ragged": ("{name: ThreeDVar, covariance: [[1, 0], [0]]}", "expected 2 numbers in a row"),
        "covariance-asymmetric": ("{name: ThreeDVar, covariance: [[1, 1], [0, 1]]}", "expected a symmetric"),
        "covariance-negative": ("{name: ThreeDVar, covariance: [-1, 0]}", "positive semi-definite"),
        "covariance-large": (f"{{name: ThreeDVar, covariance: [{'1, ' * 200}]}}", "at most 128 items"),
        "covariance-deep": ("{name: ThreeDVar, covariance: [[[1]]]}", "valid number"),
        "scale": ("{name: ThreeDVar, covariance: {scale: 0}}", "a positive scale"),
        "scale-option": ("{name: ThreeDVar, covariance: {scale: 1, X: [1]}}", "unknown key; known are scale"),
        "tolerance": ("{name: ThreeDVar, covariance: {scale: 1}, tolerance: 0}", "expected a tolerance"),
        "mean": ("{name: OptimalInterpolation, covariance: {scale: 1}, mean: [[1]]}", "expected a number, or one for"),
    }
    entries |= {
        f"filter-{key}": (f"assimilation: {{filter: {text}}}", reason) for key, (text, reason) in filters.items()
    }
    return entries | {
        "links-label": ("links: {'<b>': 'https://example.org'}", "'paper', 'code', 'data' or 'homepage'"),
        "links-list": ("links: ['https://example.org']", "valid dict"),
        "link-long": (f"links: {{paper: 'https://example.org/{'a' * 200}'}}", "at most 200"),
        "lifecycle-status": ("lifecycle: {status: verified}", "'active' or 'superseded'"),
        "lifecycle-by-none": ("lifecycle: {status: superseded}", "expected superseded_by"),
        "lifecycle-active-by": ("lifecycle: {status: active, superseded_by: other}", "and only there"),
        "lifecycle-itself": ("lifecycle: {status: superseded, superseded_by: honest-net}", "got itself"),
        "lifecycle-path": (
            "lifecycle: {status: superseded, superseded_by: ../../README}",
            "name of a submission's folder",
        ),
        "lifecycle-html": ("lifecycle: {status: superseded, superseded_by: '<b>'}", "name of a submission's folder"),
        "lifecycle-date": ("lifecycle: {status: active, until: 2030-01-01}", "unknown key; known are status"),
        "cost-negative": ("training_cost: {hardware: a GPU, hours: -1}", "greater than or equal to 0"),
        "cost-nan": ("training_cost: {hardware: a GPU, hours: .nan}", "valid number"),
        "cost-huge": ("training_cost: {hardware: a GPU, hours: 1.0e99}", "less than or equal"),
        "cost-html": ("training_cost: {hardware: '<img src=x>', hours: 1}", "expected letters"),
        "cost-lines": ('training_cost: {hardware: "a\\nb", hours: 1}', "expected letters"),
        "cost-text": ("training_cost: {hardware: a GPU, hours: many}", "valid number"),
        "assimilation-none": ("assimilation: {}", "expected a role"),
        "assimilation-text": ("assimilation: closure", "valid dictionary"),
        "assimilation-role": ("assimilation: {role: oracle}", "'increment' or 'closure'"),
        "assimilation-key": ("assimilation: {role: closure, code: x}", "unknown key; known are role, filter"),
        "assimilation-unused": ("assimilation: {sparse: {role: closure}}", "no task that heeds it uses ['sparse']"),
    }


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
        "schema-3": ("schema", "schema: l96bench/submission/3", "schema"),
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
    texts |= {key: (SECOND + line + "\n", reason) for key, (line, reason) in second().items()}
    texts["second-in-first"] = (
        GOOD + "links: {paper: 'https://example.org'}\n",
        "expected schema: l96bench/submission/2",
    )
    texts["second-in-first-null"] = (GOOD + "lifecycle:\n", "expected schema: l96bench/submission/2")
    for key, (data, reason) in texts.items():
        yield f"description/{key}.yaml", data if isinstance(data, bytes) else data.encode(), reason
