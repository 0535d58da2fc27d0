"""Locks between processes that download to one place."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)


@contextmanager
def lock(path: Path, target: Path) -> Iterator[None]:
    """Hold the lock file `path` in the block; where another process holds it, say so and wait.

    Args:
        path: the lock file; its folder is made.
        target: what it protects, for the message.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    own = FileLock(path)
    try:
        own.acquire(timeout=0)
    except Timeout:
        log.info("another process downloads to %s: waiting until it has ended", target)
        own.acquire()
    try:
        yield
    finally:
        own.release()
