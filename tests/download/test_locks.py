"""Two processes that download to one place."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest

from genspot.download.locks import lock

TIMEOUT = 20  # seconds that no test takes


def test_lock_that_is_held_says_so_and_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file, order = tmp_path / "new" / "lock", list[str]()
    spoken = threading.Event()
    caplog.handler.addFilter(lambda record: spoken.set() or True)  # type: ignore[func-returns-value]

    def second() -> None:
        with lock(file, tmp_path / "data"):
            order.append("second")

    thread = threading.Thread(target=second, daemon=True)
    with lock(file, tmp_path / "data"):
        assert not caplog.messages
        thread.start()
        assert spoken.wait(TIMEOUT)
        order.append("first")
    thread.join(TIMEOUT)
    assert order == ["first", "second"]
    assert len(caplog.messages) == 1
    assert str(tmp_path / "data") in caplog.text and "waiting" in caplog.text


def test_lock_after_an_error_is_free(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), lock(tmp_path / "lock", tmp_path):
            raise KeyboardInterrupt
