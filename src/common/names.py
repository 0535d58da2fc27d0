"""Names that become names of files, rows of tables and keys of figures."""

from __future__ import annotations

import unicodedata
from typing import Any

from genspot.common.text import safe_repr

MAX_NAME = 60  # characters: up to 4 bytes each, and a file system takes 255 with the ending
NO_PROTOCOL = "none"  # the value of the setting `protocol` with which no image is changed
NO_REFERENCE = "none"  # the value of `reference` with which no photo is graded
PUNCTUATION = " ._-+()"
NAME_RULE = (
    f"a text with a letter in it, of at most {MAX_NAME} letters, digits, spaces and . _ - + ( ), "
    "that begins with a letter, a digit or _"
)


def is_safe_name(value: Any) -> bool:
    """Return whether `value` is safe as a file's name, as a key and as a spreadsheet's cell.

    Letters, digits and their accents are those of any script. See `NAME_RULE`.
    """
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME:
        return False
    known = all(
        character in PUNCTUATION or unicodedata.category(character)[0] in "LMN"
        for character in value
    )
    begins = value[0].isalnum() or value[0] == "_"
    return known and begins and value[-1] != " " and any(map(str.isalpha, value))


def name_key(name: str) -> str:
    """Return what names share that a file system or a reader may take for one.

    They differ in case, in the form of accents, or in that of letters, such as full-width ones.
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def shown(value: Any) -> str:
    """Return a setting's value as YAML has it, as printable text of one line."""
    words = {None: "null", True: "true", False: "false"}
    return safe_repr(words[value] if value is None or isinstance(value, bool) else value, 100)
