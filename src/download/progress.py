"""The progress of a transfer: a bar on a terminal, a line a minute elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextlib import ExitStack

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from genspot.common.quantities import duration_text, size_text

LINE_SECONDS = 60.0  # from one line to the next where there is no terminal

log = logging.getLogger(__name__)


class Progress:
    """Bytes that arrived and bytes that were verified; any thread may add to them.

    Args:
        title: for the bar and the lines.
        total: bytes that are to arrive.
        quiet: show nothing.

    Attributes:
        arrived: bytes so far; more than `total` where some had to be fetched twice.
        checked: bytes so far whose checksum was right.
    """

    def __init__(self, title: str, total: int, quiet: bool = False) -> None:
        self.title = title
        self.total = total
        self.arrived = 0
        self.checked = 0
        self._bar: tqdm | None = None
        self._on_terminal = not quiet and sys.stderr.isatty()
        self._in_lines = not quiet and not self._on_terminal
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._started = self._line_at = time.monotonic()
        self._line_arrived = 0

    def add(self, count: int) -> None:
        """Count bytes that arrived."""
        with self._lock:
            self.arrived += count
            if self._bar is not None:
                self._bar.update(min(count, max(0, self.total - self._bar.n)))
            elif self._in_lines and time.monotonic() - self._line_at >= LINE_SECONDS:
                self._line()

    def verified(self, count: int) -> None:
        """Count bytes whose checksum was right."""
        with self._lock:
            self.checked += count
            if self._bar is not None:
                self._bar.set_postfix_str(self._share_checked(), refresh=False)

    def __enter__(self) -> Progress:
        if self._on_terminal:  # where TQDM_DISABLE hides the bars, there is no terminal
            self._open.enter_context(logging_redirect_tqdm())
            self._bar = self._open.enter_context(
                tqdm(total=self.total, desc=self.title, unit="B", unit_scale=True, disable=False)
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._bar = None
        if self._in_lines and self.arrived:
            seconds = max(time.monotonic() - self._started, 1e-3)
            log.info(
                "%s: %s arrived in %s (%s/s), %s",
                self.title,
                size_text(self.arrived),
                duration_text(seconds),
                size_text(self.arrived / seconds),
                self._share_checked(),
            )

    def _line(self) -> None:
        now = time.monotonic()
        speed = (self.arrived - self._line_arrived) / (now - self._line_at)
        self._line_at, self._line_arrived = now, self.arrived
        left = max(0, self.total - self.arrived)
        log.info(
            "%s: %s of %s, %s/s, about %s left, %s",
            self.title,
            size_text(self.arrived),
            size_text(self.total),
            size_text(speed),
            duration_text(left / speed) if speed else "?",
            self._share_checked(),
        )

    def _share_checked(self) -> str:
        share = min(1.0, self.checked / self.total) if self.total else 1.0
        return f"{int(100 * share)}% verified"
