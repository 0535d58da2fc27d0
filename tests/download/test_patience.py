"""The waits between the tries of a transfer."""

from __future__ import annotations

import threading

import pytest

from genspot.download.patience import Patience, Retries, TransferStoppedError, TryFailedError
from helpers.errors import error_of

URL = "https://host/file"
LOST = TryFailedError("the connection ended early")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock whose one entry is the time."""
    now = [100.0]
    monkeypatch.setattr("genspot.download.patience.time.monotonic", lambda: now[0])
    return now


def make_retries(**changes: float) -> Retries:
    return Retries(URL, Patience(**changes), threading.Event())  # type: ignore[arg-type]


def test_next_wait_of_failures_doubles_up_to_the_longest(clock: list[float]) -> None:
    retries = make_retries(first_wait=3, longest_wait=60)
    assert [retries.next_wait(LOST) for _ in range(7)] == [3, 6, 12, 24, 48, 60, 60]


def test_next_wait_after_progress_begins_again(clock: list[float]) -> None:
    retries = make_retries(first_wait=3)
    for _ in range(4):
        retries.next_wait(LOST)
    retries.progressed()
    assert retries.next_wait(LOST) == 3


def test_next_wait_of_default_patience_lasts_thirty_minutes(clock: list[float]) -> None:
    retries = make_retries()
    waited = 0.0
    with pytest.raises(ValueError, match=r"no byte came for (29|30) min"):
        while True:
            wait = retries.next_wait(LOST)
            waited += wait
            clock[0] += wait
    assert 29 * 60 <= waited <= 30 * 60


def test_next_wait_before_any_answer_ends_at_the_third_failure(clock: list[float]) -> None:
    retries = make_retries()
    refused = TryFailedError("host: Connection refused", few=True)
    waits = [retries.next_wait(refused) for _ in range(2)]
    assert 5 <= sum(waits) <= 12  # about ten seconds with the tries themselves
    assert error_of(retries.next_wait, refused) == f"{URL}: host: Connection refused (3 tries)"


def test_next_wait_counts_wrong_answers_across_lost_connections(clock: list[float]) -> None:
    retries = make_retries(tries=2)
    wrong = TryFailedError("a page (HTML) came instead of the file", few=True)
    retries.next_wait(wrong)
    retries.next_wait(LOST)
    assert "(2 tries)" in error_of(retries.next_wait, wrong)


def test_next_wait_where_the_server_asks_for_longer_is_that(clock: list[float]) -> None:
    retries = make_retries(first_wait=3, longest_wait=60)
    assert retries.next_wait(TryFailedError("busy", retry_after=420.0)) == 420
    assert retries.next_wait(TryFailedError("busy", retry_after=0.0)) == 6


def test_next_wait_where_the_server_asks_for_too_long_says_how_long(clock: list[float]) -> None:
    message = error_of(make_retries().next_wait, TryFailedError("429", retry_after=7200.0))
    assert "asks to wait 2 h 0 min" in message
    assert "What has arrived stays" in message


def test_pause_once_stopped_raises_at_once() -> None:
    retries = make_retries()
    retries.stop.set()
    with pytest.raises(TransferStoppedError):
        retries.pause(60)
