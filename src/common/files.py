"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

UNFINISHED = ".unfinished"  # in a label folder: a download has not written all of its images yet


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that is renamed to `path` when the block ends.

    The content is flushed to the disk before the rename, so no reader meets half a file. If the
    block raises, the temporary file is removed and `path` keeps its former content.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(text: str, path: Path) -> None:
    """Write `text` to `path` in UTF-8."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Return the content of the JSON file at `path`.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no JSON, is nested too deeply, or a number in it is not finite.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{path.name} is damaged ({error})") from error


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"it holds {text[:20]}, which is not finite")
    return value


def write_json(content: dict[str, Any], path: Path) -> None:
    """Write `content` to `path` as JSON; NaN and infinity, which JSON lacks, raise ValueError."""
    write_text(json.dumps(content, indent=2, allow_nan=False), path)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def utf8_path(path: str | Path) -> str:
    r"""Return `path` with each byte that is not UTF-8 written as \xE9.

    Arrow and CSV hold UTF-8 only, so files with such names are left out.
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")
