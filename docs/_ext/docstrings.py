"""Docstrings as this project writes them, for Sphinx.

They are plain text with code in single backticks, Google's sections, and indented code after a
line that ends with a colon; what has a meaning in reStructuredText beyond that is escaped. The
fields of dataclasses and typed dictionaries are documented where they are defined: the comments
and annotations there become a section Attributes.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import tokenize
from collections.abc import Iterator
from typing import Any

from sphinx.application import Sphinx

from genspot.evaluation import calibration_results, results

SCHEMAS = (results.__name__, calibration_results.__name__)
SPECIAL = re.compile(r"(`+[^`]*`+)|([*|\\]|(?<=\w)_(?!\w))")


def escape(line: str) -> str:
    """Return `line` with the special characters of reStructuredText escaped outside of code."""
    return SPECIAL.sub(lambda match: match[1] or "\\" + match[2], line)


def indentation(line: str) -> int:
    """Return the number of spaces that `line` begins with."""
    return len(line) - len(line.lstrip())


def to_rst(lines: list[str]) -> Iterator[str]:
    """Yield the lines of a docstring as reStructuredText, with Google's sections as they are."""
    code_indentation = None  # of the text in front of a block of code
    for number, line in enumerate(lines):
        if code_indentation is not None and line and indentation(line) <= code_indentation:
            code_indentation = None
        if code_indentation is not None or line.lstrip().startswith((">>>", "...")):
            yield line
            continue
        following = [*lines[number + 1 : number + 3], "", ""]
        if line.endswith(":") and not following[0] and indentation(following[1]):
            code_indentation = indentation(line)
            line += ":"
        yield escape(line)


def field_comments(cls: type) -> dict[str, str]:
    """Return field → the comment behind it, or the comment lines above it, of a dataclass."""
    lines = iter(inspect.getsource(cls).splitlines(keepends=True))
    comments: dict[str, str] = {}
    above: list[str] = []
    name = None
    for token in tokenize.generate_tokens(lambda: next(lines, "")):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("# ").strip()
            if name is None:
                above.append(text)
            else:
                comments[name] = text
        elif token.type == tokenize.NAME and name is None:
            name = token.string
            if above:
                comments[name] = " ".join(above)
            above = []
        elif token.type == tokenize.NEWLINE:
            name = None
    names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return {name: text for name, text in comments.items() if name in names}


def attributes(obj: Any, lines: list[str]) -> Iterator[str]:
    """Yield a section Attributes for a class whose docstring has none."""
    if not isinstance(obj, type) or any(line.strip() == "Attributes:" for line in lines):
        return
    if dataclasses.is_dataclass(obj):
        described = field_comments(obj)
    elif hasattr(obj, "__total__") and obj.__module__ in SCHEMAS:
        described = {name: meaning for name, (_, meaning) in results.describe_keys(obj).items()}
    else:
        return
    if described:
        yield from ("", "Attributes:")
        yield from (f"    {name}: {text}" for name, text in described.items())


def process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Rewrite a docstring in place; autodoc calls this."""
    if lines and lines[0].startswith("Alias for field number"):  # of a named tuple
        lines.clear()
    lines[:] = to_rst([*lines, *attributes(obj, lines)])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True}
