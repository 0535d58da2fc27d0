"""Signals: raised at once, deferred, ignored, and left to the parent in forked processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from genspot.runtime.shutdown import SHUTDOWN_SIGNALS, ShutdownHandler, ShutdownRequested

EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGUSR1": 138, "SIGUSR2": 140}


@pytest.fixture
def handler() -> Iterator[ShutdownHandler]:
    """An installed handler; the handlers before it are restored."""
    before = {number: signal.getsignal(number) for number in SHUTDOWN_SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background processes
    handler = ShutdownHandler()
    handler.install()
    yield handler
    for number, old in before.items():
        signal.signal(number, old)


@pytest.mark.parametrize(("name", "code"), EXIT_CODES.items())
def test_signal_raises_at_once_what_handlers_of_exception_do_not_catch(
    name: str, code: int, handler: ShutdownHandler
) -> None:
    with pytest.raises(ShutdownRequested, match=f"stopped by {name}") as caught:
        try:
            signal.raise_signal(getattr(signal, name))
        except Exception:
            pytest.fail("caught as an Exception")
    assert caught.value.exit_code == code
    assert handler.requested == getattr(signal, name)


@pytest.mark.parametrize("variable", ["RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"])
def test_exit_code_of_another_rank_is_zero(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    assert ShutdownRequested(signal.SIGTERM).exit_code == 0


def test_deferred_signal_is_raised_on_resume_and_the_first_one_counts(
    handler: ShutdownHandler,
) -> None:
    handler.defer()
    signal.raise_signal(signal.SIGUSR1)
    signal.raise_signal(signal.SIGTERM)
    assert handler.requested == signal.SIGUSR1
    with pytest.raises(ShutdownRequested, match="SIGUSR1"):
        handler.resume()


def test_resume_without_a_signal_ends_the_deferral(handler: ShutdownHandler) -> None:
    handler.defer()
    handler.resume()
    with pytest.raises(ShutdownRequested):
        signal.raise_signal(signal.SIGTERM)


def test_signal_of_another_rank_makes_own_signals_second(handler: ShutdownHandler) -> None:
    with pytest.raises(ShutdownRequested, match="SIGUSR1"):
        handler.stop(signal.SIGUSR1)
    signal.raise_signal(signal.SIGTERM)  # while the run ends
    assert handler.requested == signal.SIGUSR1


def test_ignored_signal_stays_ignored(handler: ShutdownHandler) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    handler.install()
    signal.raise_signal(signal.SIGHUP)
    assert handler.requested is None


def test_install_replaces_the_handler_of_a_library(handler: ShutdownHandler) -> None:
    signal.signal(signal.SIGTERM, lambda *_: None)
    handler.install()
    with pytest.raises(ShutdownRequested):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 7), (signal.SIGTERM, 143)])
def test_forked_process_ignores_all_but_sigterm(
    number: signal.Signals, code: int, handler: ShutdownHandler
) -> None:
    child = os.fork()
    if not child:
        try:
            signal.raise_signal(number)
        finally:
            os._exit(7 if handler.requested is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
