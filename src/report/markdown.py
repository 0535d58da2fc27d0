"""Text and tables as Markdown in GitHub's form."""

from __future__ import annotations

import re
from collections.abc import Sequence


def escape_markdown(text: str) -> str:
    """Return `text` as one line that shows each of its characters."""
    return re.sub(r"([\\`*_{}\[\]<>|#&~])", r"\\\1", " ".join(text.split()))


def markdown_table(
    heading: Sequence[str], rows: Sequence[Sequence[str]], align: str = "---:"
) -> str:
    """Return a table of plain texts.

    Args:
        heading: of the columns.
        rows: as many cells each.
        align: of all columns but the first: "---:" to the right, "---" to the left.
    """
    rule = ["---", *[align] * (len(heading) - 1)]
    escaped = [[escape_markdown(cell) for cell in row] for row in [heading, *rows]]
    return "\n".join(f"| {' | '.join(row)} |" for row in [escaped[0], rule, *escaped[1:]])
