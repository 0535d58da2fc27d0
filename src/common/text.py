"""Text from outside, such as names of files, where people read it."""

from __future__ import annotations

import codecs
import errno
import io
import logging
import os
import re
import sys
import unicodedata
from typing import Any

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


def safe_repr(value: Any, limit: int = 200) -> str:
    """Return `value` as printable text of one line and of `limit` characters at most."""
    text = str(value)
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= limit else f"{text[:limit]}…"


def _escape_unsafe(character: str) -> str:
    if unicodedata.category(character) in UNSAFE:
        return character.encode("unicode_escape").decode()
    return character


class PrintableRecord(logging.LogRecord):
    """A record whose message cannot control a terminal."""

    def getMessage(self) -> str:  # noqa: N802 (logging's own name)
        """Return the message; its line ends are kept."""
        return escape(super().getMessage(), kept="\n\t")


class LastingOutput(io.FileIO):
    """A standard stream that lasts without its reader or terminal: what it writes is lost."""

    def write(self, data: Any) -> int:
        """Write to the reader, or to nowhere once it is gone.

        Raises:
            OSError: another fault, such as a full disk, with the stream as its file name. What is
                written after it goes nowhere, so that the line that says so can be the last one.
        """
        try:
            return super().write(data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            if error.errno not in (errno.EPIPE, errno.EIO):  # a pipe, a closed terminal
                error.filename = "standard error" if self.fileno() == 2 else "standard output"
                raise
            return len(data)


def open_closed_streams() -> None:
    """Let standard streams that are closed read and write nothing."""
    for name in ("stdin", "stdout", "stderr"):  # in this order: each takes the lowest number free
        stream = getattr(sys, name)
        if stream is None or getattr(stream, "closed", False):
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nowhere, "r" if name == "stdin" else "w"))


def prepare_streams() -> None:
    """Let standard output and error show any text, and last without a reader.

    They may not be in UTF-8, and may be closed.
    """
    codecs.register_error("genspot", _replace)
    open_closed_streams()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not hasattr(stream, "reconfigure"):  # another program has replaced it
            continue
        stream.reconfigure(errors="genspot")
        if stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, _lasting(stream))


def _lasting(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """Return a stream like `stream` that lasts without a reader."""
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(LastingOutput(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Return what a stream shows in place of what its encoding lacks."""
    assert isinstance(error, UnicodeEncodeError)
    part = error.object[error.start : error.end]
    signs = [ASCII_SIGNS.get(sign) or sign.encode("unicode_escape").decode() for sign in part]
    return "".join(signs), error.end
