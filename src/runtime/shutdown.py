"""Signals that end a run, handled in one place.

A signal raises `ShutdownRequested` in the main thread at once. A training defers it to the end of
the current step, where `genspot.detector.graceful_stop.GracefulStop` saves a checkpoint first. A
second signal does nothing here: `genspot.runtime.forced_end` ends a process that does not end.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from genspot.common.ranks import is_rank_zero

# Ctrl-C; schedulers; a closed terminal; SLURM's notice (sbatch --signal=SIGUSR1@300); submitit's.
SHUTDOWN_SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


class ShutdownRequested(BaseException):
    """A signal ends the run. Code that skips unreadable images catches `Exception`, not this.

    Attributes:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number

    @property
    def exit_code(self) -> int:
        """128 + `number` on the first process of a run, as shells have it, and 0 on the others.

        Lightning and torchrun kill the first process when another one ends with an error.
        """
        return 128 + self.number if is_rank_zero() else 0


def handle_signals(handler: Callable[[int, Any], object]) -> None:
    """Handle `SHUTDOWN_SIGNALS`, except those that are ignored, as by nohup."""
    for number in SHUTDOWN_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


class ShutdownHandler:
    """The handler of `SHUTDOWN_SIGNALS` in this process.

    Attributes:
        requested: the first signal that this process or another rank received; None before.
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self._deferred = False
        self._pid = os.getpid()

    def install(self) -> None:
        """Handle the signals, except those that are ignored, as by nohup.

        Call it again after a library has installed handlers of its own. Only a main thread can.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        handle_signals(self._handle)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals within the block alone, one run of several in this process.

        Outside a main thread, which alone can handle signals, nothing is installed.
        """
        before = {number: signal.getsignal(number) for number in SHUTDOWN_SIGNALS}
        self.requested, self._deferred = None, False
        self.install()
        try:
            yield
        finally:
            if threading.current_thread() is threading.main_thread():
                for number, handler in before.items():
                    if handler is not None:  # one that Python did not install
                        signal.signal(number, handler)

    def defer(self) -> None:
        """From now on, only record a signal in `requested`."""
        self._deferred = True

    def resume(self) -> None:
        """End `defer`.

        Raises:
            ShutdownRequested: a signal came in the meantime.
        """
        self._deferred = False
        if self.requested is not None:
            self.stop(self.requested)

    def stop(self, number: int) -> NoReturn:
        """Raise `ShutdownRequested` for a signal that this process or another rank received."""
        self.requested = number
        raise ShutdownRequested(number)

    def _handle(self, number: int, _: object) -> None:
        if os.getpid() != self._pid:  # a forked process, such as one that reads images:
            if number == signal.SIGTERM:  # its parent ends it
                os._exit(128 + number)
        elif self.requested is None:
            self.requested = number
            if not self._deferred:
                self.stop(number)
