"""Text from outside, such as names of files, where people read it."""

from __future__ import annotations

import codecs
import logging
import re
import sys
import unicodedata

# For streams that lack them, such as an ASCII terminal.
ASCII_SIGNS = {"×": "x", "–": "-", "−": "-", "…": "...", "≤": "<="}
# Control and format characters (escape sequences, line ends, reversed text), lone surrogates.
UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")
NOT_ASCII_PRINTABLE = re.compile(r"[^ -~]")


def escape(text: str, kept: str = "") -> str:
    r"""Return `text` with each control character that is not in `kept` written like \x1b."""
    return NOT_ASCII_PRINTABLE.sub(
        lambda found: found[0] if found[0] in kept else _escape_unsafe(found[0]), text
    )


def printable(text: str) -> str:
    """Return `text` as one line that a terminal shows as it is, whatever a file is named."""
    return escape(str(text))


def _escape_unsafe(character: str) -> str:
    if unicodedata.category(character) in UNSAFE:
        return character.encode("unicode_escape").decode()
    return character


class PrintableRecord(logging.LogRecord):
    """A record whose message cannot control a terminal."""

    def getMessage(self) -> str:  # noqa: N802 (logging's own name)
        """Return the message; its line ends are kept."""
        return escape(super().getMessage(), kept="\n\t")


def prepare_streams() -> None:
    """Let standard output and error show any text, also where they are not in UTF-8."""
    codecs.register_error("genspot", _replace)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not where another program has replaced it
            stream.reconfigure(errors="genspot")


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Return what a stream shows in place of what its encoding lacks."""
    assert isinstance(error, UnicodeEncodeError)
    part = error.object[error.start : error.end]
    signs = [ASCII_SIGNS.get(sign) or sign.encode("unicode_escape").decode() for sign in part]
    return "".join(signs), error.end
