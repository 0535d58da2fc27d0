"""Processes that a test has started."""

from __future__ import annotations

from pathlib import Path


def is_running(pid: int) -> bool:
    """Return whether `pid` is a process that has not ended; an orphan may stay as a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
