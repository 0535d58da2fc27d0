"""The scores of a run, appended to files as they come: a run that was stopped goes on from them.

A run has one file per process, of JSON lines. The first line says what is scored. Each further
line holds a whole batch, so a line that was cut short costs that batch alone, and a resumed run
forms the batches that an uninterrupted one forms: in float32 the last bit of an image's logit can
depend on the others of its batch.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from genspot.common.run_files import SCORE_LOG_SUFFIX


class ScoreLog:
    """What is known of the images of one table: scores, and reasons why there are none.

    Args:
        folder: of the run.
        name: of the table, with which the names of the files begin.
        about: plain values, on which the scores depend. Files about something else are ignored.

    Attributes:
        scores: row → (logit, whether the image was padded).
        unreadable: row → the reason.
        started: when the oldest file was begun, in nanoseconds of the system's clock.
        differing: keys of `about` that have other values in a file that was ignored.
    """

    def __init__(self, folder: Path, name: str, about: dict[str, Any]) -> None:
        self.folder, self.name = folder, name
        self.about = json.loads(json.dumps(about))  # tuples become lists, as in the files
        self.scores: dict[int, tuple[float, bool]] = {}
        self.unreadable: dict[int, str] = {}
        self.started = time.time_ns()
        self.differing: list[str] = []
        self._path: Path | None = None  # of the file of this process, while batches go there
        self._file: IO[bytes] | None = None

    def read(self) -> None:
        """Take up what the files of all processes hold.

        A batch with a logit that is not finite is left out, to be scored again as a whole.
        """
        for path in self.folder.glob(f"{self.name}.*{SCORE_LOG_SUFFIX}"):
            (header, *batches), _ = _read_lines(path)
            self.differing += self._differences(header)
            if not header or self._differences(header):
                continue
            self.started = min(self.started, header["started"])
            for batch in batches:
                scores = {row: (logit, padded) for row, logit, padded in batch["scores"]}
                if all(math.isfinite(logit) for logit, _ in scores.values()):
                    self.append(scores, dict(batch["unreadable"]))

    def forget(self, rows: Iterable[int]) -> None:
        """Let the images of `rows` be scored again."""
        for row in rows:
            self.scores.pop(row, None)

    def open(self, rank: int) -> None:
        """Go on with the file of this process, after its whole lines; a batch begins a new one."""
        self._path = self.folder / f"{self.name}.{rank}{SCORE_LOG_SUFFIX}"
        (header, *_), size = _read_lines(self._path)
        if header and not self._differences(header):
            self._file = self._path.open("ab")
            self._file.truncate(size)
        else:
            self._path.unlink(missing_ok=True)

    def append(self, scores: dict[int, tuple[float, bool]], unreadable: dict[int, str]) -> None:
        """Add a batch, in memory and, between `open` and `close`, in the file."""
        self.scores |= scores
        for row in scores:
            self.unreadable.pop(row, None)  # it could not be read before
        for row, reason in unreadable.items():
            if row not in self.scores:
                self.unreadable[row] = reason
        if self._path and not self._file:
            self._file = self._path.open("wb")
            self._write({"about": self.about, "started": self.started})
        if self._file:
            rows = [[row, *score] for row, score in scores.items()]
            self._write({"scores": rows, "unreadable": list(unreadable.items())})

    def close(self) -> None:
        """End the file of this process."""
        if self._file:
            self._file.close()
        self._path = self._file = None

    def remove(self) -> None:
        """Remove the files of all processes."""
        for path in self.folder.glob(f"{self.name}.*{SCORE_LOG_SUFFIX}"):
            path.unlink(missing_ok=True)

    def _differences(self, header: dict[str, Any]) -> list[str]:
        about = header.get("about", self.about)
        return [key for key in self.about if about.get(key) != self.about[key]]

    def _write(self, content: dict[str, Any]) -> None:
        assert self._file is not None, "the log is closed"
        self._file.write(json.dumps(content).encode() + b"\n")
        self._file.flush()  # to the system: a kill of this process loses nothing of it


def _read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the header ({} without one) and the batches in `path`, and their size in bytes.

    What follows a line that is damaged or cut short is left out.
    """
    lines: list[dict[str, Any]] = []
    size = 0
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else ():
        try:
            content = json.loads(line)
            keys = {"scores", "unreadable"} if lines else {"about", "started"}
            if not line.endswith(b"\n") or content.keys() != keys:
                break
        except (ValueError, AttributeError):
            break
        lines.append(content)
        size += len(line)
    return lines or [{}], size


def changed_since(paths: Iterable[tuple[int, str]], time_ns: int) -> list[int]:
    """Return the rows of (row, path) pairs whose file was changed or replaced after `time_ns`."""
    return [row for row, path in paths if _change_time(path) > time_ns]


def _change_time(path: str) -> int:
    try:
        return os.stat(path).st_ctime_ns
    except OSError:  # a packed image, whose file may be gone
        return 0
