"""Markdown that another program reads back."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from genspot.report.markdown import escape_markdown, markdown_table

ODD = ("a_b_c", "<b>x</b>", "*x* ~~y~~ `z`", "[a](b)", "# 1 & 2", "a|b\\|c", "größe – 5%")


def shown(markdown: str) -> list[str]:
    """Return the texts of what a reader of CommonMark with tables sees."""
    tokens = MarkdownIt("commonmark").enable("table").enable("strikethrough").parse(markdown)
    found = []
    for token in tokens:
        if token.type == "inline":
            assert {child.type for child in token.children or ()} <= {"text", "text_special"}
            found.append("".join(child.content for child in token.children or ()))
    return found


@pytest.mark.parametrize("text", ODD)
def test_escaped_text_is_shown_as_it_is(text: str) -> None:
    assert shown(escape_markdown(text)) == [text]


def test_escaped_text_is_one_line() -> None:
    assert escape_markdown(" a\n\n# b\tc ") == "a \\# b c"


def test_table_is_shown_with_each_of_its_cells() -> None:
    assert shown(markdown_table(["x", *ODD], [["1", *ODD], ["2", *ODD]])) == [
        *("x", *ODD),
        *("1", *ODD),
        *("2", *ODD),
    ]


def test_table_aligns_all_columns_but_the_first() -> None:
    assert markdown_table(["a", "b"], [["1", "2"]]).splitlines()[1] == "| --- | ---: |"
    assert markdown_table(["a", "b"], [], align="---").splitlines()[1] == "| --- | --- |"
