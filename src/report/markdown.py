"""Text and tables as Markdown in GitHub's form."""

from __future__ import annotations

import re
from collections.abc import Sequence


def escape_markdown(text: str) -> str:
    """Return `text` as one line that shows each of its characters."""
    return re.sub(r"([\\`*_{}\[\]<>|#&~])", r"\\\1", " ".join(text.split()))


def markdown_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of plain texts; all columns but the first are right-aligned."""
    rule = ["---", *["---:"] * (len(heading) - 1)]
    escaped = [[escape_markdown(cell) for cell in row] for row in [heading, *rows]]
    return "\n".join(f"| {' | '.join(row)} |" for row in [escaped[0], rule, *escaped[1:]])
