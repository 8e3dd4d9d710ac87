"""Escaping, against an independent Markdown parser."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from l96bench.board.text import NONE, Markdown, code_block, count, escape, interval, markdown_table, number

HOSTILE = [
    "<script>alert(1)</script>",
    "a|b||c",
    "[click](javascript:alert(1))",
    "![image](http://example.org/x.png)",
    "`code` ``x`` *bold* __b__ ~~gone~~",
    "two\nlines\r\n\r\n# heading",
    "&lt;b&gt; &amp; \\| \\",
    "<!-- /l96bench:tables -->",
    "right\u202eto left\u0000",
    "[a]: http://example.org",
    "$x$ $$y$$",
]


def shown(markdown: str) -> str:
    """The text that a reader sees in the first paragraph, which must hold text and nothing else."""
    (inline,) = [
        token
        for token in MarkdownIt("commonmark", {"html": True}).enable("strikethrough").parse(markdown)
        if token.type == "inline"
    ]
    assert inline.children is not None
    assert {child.type for child in inline.children} <= {"text", "text_special"}, inline.children
    return "".join(child.content for child in inline.children)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_reader_sees_the_text_itself_on_one_line(text: str) -> None:
    visible = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    assert shown(f"Name: {escape(text)}") == f"Name: {visible}"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_stays_a_cell(text: str) -> None:
    page = markdown_table(["entry", "n"], [[text, 1], ["plain", 2]], left=["entry"])
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(page)
    assert html.count("<tr>") == 3
    assert html.count("<td") == 4
    for forbidden in ("<script", "<a ", "<img", "<!--"):
        assert forbidden not in html


def test_markdown_is_not_escaped_twice() -> None:
    assert escape(escape("a|b")) == r"a\|b"
    assert escape(Markdown("**bold**")) == "**bold**"


def test_a_table_is_aligned() -> None:
    assert markdown_table(["name", "n"], [["a", 1], ["longer", 10]], left=["name"]) == (
        "| name   |   n |\n| ------ | --: |\n| a      |   1 |\n| longer |  10 |"
    )


@pytest.mark.parametrize("text", ["```\n<b>", "a\n\n\nb", "# x\n<!-- y -->\n</code></pre>"])
def test_code_stays_code(text: str) -> None:
    tokens = MarkdownIt("commonmark", {"html": True}).parse(f"before\n\n{code_block(text)}\n\nafter")
    assert [token.type for token in tokens if token.type not in ("paragraph_open", "inline", "paragraph_close")] == [
        "code_block"
    ]
    assert [token.content for token in tokens if token.type == "code_block"] == [text + "\n"]


def test_numbers() -> None:
    assert number(None, ".3f") == NONE
    assert number(-0.0001, ".2f") == "0.00"
    assert count(4353) == "4,353"
    assert count(None) == NONE
    assert number(-1e300, ".3f") == "-1.0e+300"
    assert interval(1.0, None, None, ".1f") == "1.0"
    assert interval(1.0, 0.5, 1.5, ".1f") == "1.0 [0.5, 1.5]"
