"""Errors of the disk in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genspot.common.errors import GenspotError


@contextmanager
def named_os_errors(path: Path | None = None) -> Iterator[None]:
    """Raise GenspotError for an OSError of the block that names its file.

    Args:
        path: of the file, where the error names none.
    """
    try:
        yield
    except OSError as error:
        name = error.filename or path
        if name is None:
            raise
        # Arrow has a text of its own in `strerror`.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise GenspotError(
            f"{name}: {reason.lower()}; what is complete stays, and the same command "
            "continues once this is put right"
        ) from error
