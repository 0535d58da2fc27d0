"""The scores of a run, appended to files as they come: a run that was stopped goes on from them.

A run has one file per process, of JSON lines with checksums. The first line says what is scored.
Each further line holds a whole batch, so a damaged line costs that batch alone, and a resumed run
forms the batches that an uninterrupted one forms: in float32 the last bit of an image's logit can
depend on the others of its batch.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from genspot.common.containers import file_status
from genspot.common.run_files import SCORE_LOG_SUFFIX


class ScoreLog:
    """What is known of the images of one table: scores, and reasons why there are none.

    Args:
        folder: of the run.
        name: of the table, with which the names of the files begin.
        about: plain values, on which the scores depend. Files about something else are ignored.
        paths: of the images, by row.

    Attributes:
        scores: row → (logit, whether the image was padded).
        unreadable: row → the reason.
        changed: rows whose scores were left out, because another file lies there now.
        damaged: how many lines were left out.
        started: when the oldest file was created, in nanoseconds of the system's clock.
        differing: keys of `about` that have other values in a file that was ignored.
    """

    def __init__(
        self, folder: Path, name: str, about: dict[str, Any], paths: Sequence[str] = ()
    ) -> None:
        self.folder, self.name, self.paths = folder, name, paths
        self.about = json.loads(json.dumps(about))  # tuples become lists, as in the files
        self.scores: dict[int, tuple[float, bool]] = {}
        self.unreadable: dict[int, str] = {}
        self.changed: set[int] = set()
        self.damaged = 0
        self.started = time.time_ns()
        self.differing: list[str] = []
        self._path: Path | None = None  # of the file of this process, while batches go there
        self._file: IO[bytes] | None = None

    def read(self) -> None:
        """Take up what the files of all processes hold.

        A batch with a logit that is not finite is left out, to be scored again as a whole. So is
        an image whose file was changed or replaced since.
        """
        for path in self.folder.glob(f"{self.name}.*{SCORE_LOG_SUFFIX}"):
            (header, *batches), _, damaged = _read_lines(path)
            self.damaged += damaged
            self.differing += self._differences(header)
            if not header or self._differences(header):
                continue
            self.started = min(self.started, header["started"])
            for batch in batches:
                if all(math.isfinite(logit) for _, logit, _, _ in batch["scores"]):
                    self._take(batch, header["started"])
        self.changed -= self.scores.keys()

    def _take(self, batch: dict[str, Any], started: int) -> None:
        scores = {}
        for row, logit, padded, stamp in batch["scores"]:
            now = self._stamp(row)
            # One that changed after the start may have done so between its reading and its stamp.
            if now != stamp or (now and now[1] > started):
                self.changed.add(row)
            else:
                scores[row] = logit, padded
        self.append(scores, dict(batch["unreadable"]))

    def open(self, rank: int) -> None:
        """Go on with the file of this process, after its whole lines; a batch begins a new one."""
        self._path = self.folder / f"{self.name}.{rank}{SCORE_LOG_SUFFIX}"
        (header, *_), size, _ = _read_lines(self._path)
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
            rows = [[row, *score, self._stamp(row)] for row, score in scores.items()]
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

    def _stamp(self, row: int) -> list[int] | None:
        """Return the inode and the time of the last change in nanoseconds of an image's file.

        Of an image within a container, it is those of the container.
        """
        try:
            status = file_status(self.paths[row])
        except (IndexError, OSError, UnicodeEncodeError):  # the locale may lack the name
            return None  # a packed image, whose file may be gone
        return [status.st_ino, status.st_ctime_ns]

    def _write(self, content: dict[str, Any]) -> None:
        assert self._file is not None, "the log is closed"
        self._file.write(json.dumps(content | {"crc": _checksum(content)}).encode() + b"\n")
        self._file.flush()  # to the system: a kill of this process loses nothing of it


def _read_lines(path: Path) -> tuple[list[dict[str, Any]], int, int]:
    """Return the header ({} without one) and the batches in `path`.

    Besides, the size in bytes of the lines, and how many of them are damaged and left out. A last
    line that was cut short is none.
    """
    *whole, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
    lines = [_read_line(line, header=not number) for number, line in enumerate(whole)]
    batches = [line for line in lines[1:] if line]
    damaged = sum(not line for line in lines)
    return [lines[0] if lines else {}, *batches], sum(len(line) + 1 for line in whole), damaged


def _read_line(line: bytes, header: bool) -> dict[str, Any]:
    """Return the content of a line, {} if it is damaged."""
    keys = {"about", "started"} if header else {"scores", "unreadable"}
    try:
        content = dict(json.loads(line))
        crc = content.pop("crc")
    except (ValueError, TypeError, KeyError):
        return {}
    return content if content.keys() == keys and crc == _checksum(content) else {}


def _checksum(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content).encode())
