"""Text from outside, on terminals."""

from __future__ import annotations

import io
import logging
import os
import pty
import subprocess
import sys

import pytest

from genspot.common.text import PrintableRecord, escape, prepare_streams, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("photo\u202egnp.exe", "photo\\u202egnp.exe"),  # shown as photoexe.png
        ("\x9b2J", "\\x9b2J"),  # an escape sequence in one character
        ("\udce9", "\\udce9"),  # a byte that is no UTF-8
        ("a\u2028b", "a\\u2028b"),
        ("größe 写真\u3000 é×–[b].png", "größe 写真\u3000 é×–[b].png"),
        ("C:\\new", "C:\\new"),
        ("", ""),
    ],
)
def test_printable_shows_control_characters_as_escapes(text: str, expected: str) -> None:
    assert printable(text) == expected
    assert len(printable(text).splitlines()) <= 1


def test_escape_keeps_what_is_named() -> None:
    assert escape("a\nb\x1b", kept="\n") == "a\nb\\x1b"


def test_log_messages_cannot_control_a_terminal() -> None:
    record = PrintableRecord("x", logging.INFO, "", 0, "file %s\nnext", ("\x1b[2J.png",), None)
    assert record.getMessage() == "file \\x1b[2J.png\nnext"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_streams_of_any_encoding_take_any_text(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(content, encoding))
    prepare_streams()
    print("224 × 224 – 写真 \udce9", flush=True)
    shown = content.getvalue().decode(encoding)
    assert (
        shown
        == {
            "ascii": "224 x 224 - \\u5199\\u771f \\udce9\n",
            "latin-1": "224 × 224 - \\u5199\\u771f \\udce9\n",
            "utf-8": "224 × 224 – 写真 \\udce9\n",
        }[encoding]
    )


def test_streams_last_without_their_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, end = pty.openpty()
    for name in ("stdout", "stderr"):
        stream = os.fdopen(os.dup(end), "w", encoding="utf-8")
        monkeypatch.setattr(sys, name, stream)
        monkeypatch.setattr(sys, f"__{name}__", stream)
    prepare_streams()
    print("here", flush=True)
    assert os.read(terminal, 99) == b"here\r\n"
    os.close(terminal)
    with pytest.raises(OSError, match=r"\[Errno 5\]"):
        os.write(end, b"gone")
    for stream in (sys.stdout, sys.stderr):
        print("gone", file=stream, flush=True)
    os.close(end)


@pytest.mark.skipif(sys.platform != "linux", reason="has no /dev/full")
def test_full_disk_below_standard_output_is_its_error_once() -> None:
    script = """
import sys
from genspot.common.text import prepare_streams
prepare_streams()
print("lost")
try:
    sys.stdout.flush()
except OSError as error:
    sys.exit(f"{error.strerror}: {error.filename}")
"""
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (result.returncode, result.stderr) == (
        1,
        "No space left on device: standard output\n",
    )
