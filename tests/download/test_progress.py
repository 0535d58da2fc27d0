"""What is shown of a transfer."""

from __future__ import annotations

import io
import logging
import sys
import threading

import pytest

from genspot.download import progress
from genspot.download.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def make_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make standard error a terminal; pytest replaces it after fixtures."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("genspot.download.progress.time.monotonic", lambda: now[0])
    return now


def test_progress_without_a_terminal_logs_a_line_a_minute(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Progress("progan_train", 4_000_000_000) as shown:
        for _ in range(60):  # two minutes
            clock[0] += 2
            shown.add(10_000_000)
            shown.verified(5_000_000)
    assert caplog.messages == [
        "progan_train: 300 MB of 4.00 GB, 5.00 MB/s, about 12 min left, 3% verified",
        "progan_train: 600 MB of 4.00 GB, 5.00 MB/s, about 11 min left, 7% verified",
        "progan_train: 600 MB arrived in 2 min (5.00 MB/s), 7% verified",
    ]


def test_progress_quiet_shows_nothing(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    terminal = make_terminal(monkeypatch)
    with Progress("file", 10, quiet=True) as shown:
        clock[0] += 100
        shown.add(10)
    assert (terminal.getvalue(), caplog.messages) == ("", [])


def test_progress_on_a_terminal_is_a_bar_with_bytes_and_the_verified_share(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    terminal = make_terminal(monkeypatch)
    with Progress("blur_jpg_0.5", 2_000_000) as shown:
        shown.add(1_000_000)
        shown.verified(500_000)
        shown.add(1_000_000)
    last = terminal.getvalue().split("\r")[-1]
    assert "blur_jpg_0.5: 100%" in last
    assert "2.00M/2.00M" in last
    assert "B/s, 25% verified" in last
    assert caplog.messages == []


def test_progress_of_bytes_fetched_twice_stays_at_the_total(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = make_terminal(monkeypatch)
    with Progress("file", 1000) as shown:
        shown.add(900)
        shown.add(900)
    assert shown.arrived == 1800
    assert "1.00k/1.00k" in terminal.getvalue().split("\r")[-1]


def test_progress_of_nothing_is_silent_without_a_terminal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with Progress("file", 0):
        pass
    assert caplog.messages == []


def test_progress_of_several_threads_counts_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    with Progress("file", 40_000) as shown:
        threads = [
            threading.Thread(
                target=lambda: [(shown.add(1), shown.verified(1)) for _ in range(500)]
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (shown.arrived, shown.checked) == (4000, 4000)
