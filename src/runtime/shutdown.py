"""The signals that end a run: heard from its start to its end, by one handler.

Lightning's own handlers save in the middle of whatever a signal interrupts, which may be half a
step, enter a collective there on each rank by itself, and end where its loops end. Here a training
is left to come to the end of its step (`genspot.detector.callbacks.Preemption`), and everything else ends at
once, by an exception.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

# Of Ctrl-C, schedulers and cluster managers, and a terminal that is closed; submitit uses SIGUSR2.
ENDINGS = [
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)  # Windows has two of them
]
PARENT = "GENSPOT_PARENT"  # names the process that started this one, and without which it ends
ECHO_S = 3.0  # a terminal and torchrun both pass on one Ctrl-C: a second one comes later than this
STUCK_S = 10.0  # after which the main thread is taken to wait, in C++, for what will not come
URGENT_S = 2.0  # the same, of a second Ctrl-C
AGO_S = 1.0  # by which the handler may run before the watch wakes
LOOK_S = 0.5
SLOW_S = 600.0  # in which the first rank has ended, though it may wait for a disk or a server
SOON_S = 10.0  # in which a first rank that no longer answers has ended


class Stopped(BaseException):
    """A signal ends the run. It is no `Exception`: those of broken images are passed over.

    Attributes:
        number: of the signal.
        left: what the run leaves and how it goes on, in words; None where that is not special.
    """

    def __init__(self, number: int, left: str | None = None) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number, self.left = number, left

    @property
    def requeues(self) -> bool:
        """Whether it is SLURM's notice that the job's time is up (sbatch --signal=SIGUSR1@300)."""
        return signal.Signals(self.number).name == "SIGUSR1"

    @property
    def exit_code(self) -> int:
        """As shells and schedulers have it; notices count as SIGTERM."""
        notice = signal.Signals(self.number).name in ("SIGUSR1", "SIGUSR2")
        return 128 + (signal.SIGTERM if notice else self.number)


class Inbox:
    """What this process has been told, and what becomes of it.

    A process that Lightning started as another rank of the run passes on what it is told, and does
    nothing by itself: the first rank decides, and when that has ended, it ends.

    Attributes:
        received: the first signal; None before.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.listening = False
        self._holds = 0
        self._leaves = False
        self._over = False  # there is nothing left to stop
        self._since = self._heard = 0.0
        self._last_words: Callable[[Stopped], object] = print
        self._parent: int | None = None
        self._is_rank = False

    def listen(self, last_words: Callable[[Stopped], object]) -> None:
        """Take the signals, but for those that are ignored, as nohup and shells have it.

        Args:
            last_words: called when the process must end without unwinding.
        """
        self.listening, self._last_words = True, last_words
        self._is_rank = os.environ.get("LOCAL_RANK", "0") != "0"
        if (parent := os.environ.get(PARENT)) and sys.platform != "win32":
            self._parent = int(parent)
        os.environ[PARENT] = str(os.getpid())
        receiver, sender = socket.socketpair()
        receiver.settimeout(LOOK_S)
        sender.setblocking(False)
        signal.set_wakeup_fd(sender.detach(), warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=self._forget)
        for number in ENDINGS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._hear)
        threading.Thread(target=self._watch, args=(receiver,), daemon=True).start()

    def over(self) -> None:
        """Nothing is left to stop: the run has ended, or ends by an error of its own."""
        self._over = True

    def hold(self) -> None:
        """From here on, only take note."""
        self._holds += 1

    def release(self) -> None:
        """The end of `hold`.

        Raises:
            Stopped: a signal came in the meantime.
        """
        self.drop()
        if self.received is not None:
            self._stop(self.received)

    def drop(self) -> None:
        """The end of `hold` where an exception ends the run already."""
        self._holds = max(0, self._holds - 1)

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Amid the imports of compiled modules, where an exception may be lost or abort, end the
        process without one."""
        self._leaves = True
        try:
            yield
        finally:
            self._leaves = False

    def stopped(self, number: int, left: str) -> Stopped:
        """What to raise at a good moment after `number`, of which other ranks may have told."""
        self._over = True
        return Stopped(number, left)

    def wait_for_the_first(self, seconds: float) -> None:
        """As another rank, leave it to the first to end; when it has ended, so does this process.

        If this one ended before it, Lightning would kill it.
        """
        if self._follows:
            time.sleep(seconds)

    @property
    def _follows(self) -> bool:
        """Whether Lightning started this process as another rank of the run."""
        return self._is_rank and self._parent is not None

    def _hear(self, number: int, _: FrameType | None) -> None:
        first, now = self.received is None, time.monotonic()
        self._heard = now
        if first:
            self.received, self._since = number, now
            self._pass_on()
        again = number == signal.SIGINT and not first and now - self._since > ECHO_S
        if self._over and number == signal.SIGINT and (first or again):
            self._leave(number)
        if again:
            self._holds = 0  # a second Ctrl-C does not wait
        self._stop(number)

    def _stop(self, number: int) -> None:
        if not self._holds and not self._over and not self._follows:
            if self._leaves:
                self._leave(number)
            self._over = True
            raise Stopped(number)

    def _pass_on(self) -> None:
        if self._follows:
            assert self._parent is not None
            with suppress(ProcessLookupError):
                os.kill(self._parent, signal.SIGTERM)

    def _forget(self) -> None:
        """In a forked process, which has the handlers but none of the threads."""
        signal.set_wakeup_fd(-1)
        for number in ENDINGS:
            if signal.getsignal(number) == self._hear:
                signal.signal(number, signal.SIG_DFL)

    def _watch(self, receiver: socket.socket) -> None:
        """End the process if its parent has ended, or if its main thread does not hear a signal.

        That thread runs handlers between two instructions of Python, and not while it waits in
        C++ for another rank.
        """
        told: list[tuple[float, int]] = []  # when, and what
        pressed: float | None = None  # when the first Ctrl-C came
        while True:
            numbers = b""
            with suppress(TimeoutError):
                numbers = receiver.recv(64)
            now = time.monotonic()
            told += [(now, number) for number in numbers if number in ENDINGS]
            if signal.SIGINT in numbers:
                pressed = pressed or now
            if self._parent is not None and os.getppid() != self._parent:
                self._orphaned()
            for when, number in list(told):
                again = bool(number == signal.SIGINT and pressed and when - pressed > ECHO_S)
                if now - when > (URGENT_S if again else STUCK_S):
                    told.remove((when, number))
                    if self._heard < when - AGO_S and (again or not self._holds):
                        self._unheard(number)

    def _unheard(self, number: int) -> None:
        if signal.getsignal(number) != self._hear:
            return  # another handler than ours has it
        if self._follows:
            return self._pass_on()
        self._leave(number)

    def _orphaned(self) -> None:
        if self._is_rank:
            self._leave(signal.SIGTERM)
        self._parent = None
        os.kill(os.getpid(), signal.SIGTERM)

    def _leave(self, number: int) -> None:
        """End this process as it is."""
        error = Stopped(number)
        with suppress(Exception):
            self._last_words(error)
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(error.exit_code)


INBOX = Inbox()
