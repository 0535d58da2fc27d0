"""The end of a process that does not end by itself: at a second signal, or after a time limit.

A thread watches, because Python runs signal handlers in the main thread alone, and only between
two of its steps: never, while that thread waits in a library for another process.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from genspot.common.ranks import is_rank_zero
from genspot.runtime.shutdown import ShutdownRequested

# Schedulers send a signal twice, to the job and to each of its processes, and a sweep passes on to
# its jobs what they have received already. Those come within a second or two.
DOUBLE_S = 5.0
EXIT_LIMIT_S = 30.0  # from the last line of a run to the end of its process


def end_at_second_signal(numbers: Collection[int]) -> None:
    """From now on, end this process and those below it at a second signal of `numbers`.

    A second signal is one that comes `DOUBLE_S` after the first or later. The exit code is that of
    `ShutdownRequested`. Signals that are ignored do not count. To be called once, in the main
    thread.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    # A forked process, such as one that reads images, has signals of its own.
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
    watch = threading.Thread(target=_watch, args=(reader, frozenset(numbers)), daemon=True)
    watch.start()


def end_within_limit(exit_code: int) -> None:
    """From now on, end this process with `exit_code` if it takes longer than `EXIT_LIMIT_S`.

    A process waits at its end for those below it, of which one may hang.
    """
    timer = threading.Timer(EXIT_LIMIT_S, end_now, [exit_code])
    timer.daemon = True
    timer.start()


def end_now(exit_code: int) -> NoReturn:
    """End this process and all below it at once."""
    for pid in _descendants(os.getpid()):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    os._exit(exit_code)


def _watch(reader: int, numbers: Collection[int]) -> None:
    first, announced = 0.0, False
    while True:
        waiting = first and not announced
        left = max(0.0, first + DOUBLE_S - time.monotonic()) if waiting else None
        if not select.select([reader], [], [], left)[0]:
            announced = True
            _print("this takes longer: a second signal ends the run at once, without saving")
            continue
        for number in os.read(reader, 64):  # other signals with handlers come here too
            if number not in numbers:
                continue
            if not first:
                first = time.monotonic()
            elif time.monotonic() >= first + DOUBLE_S:
                name = signal.Signals(number).name
                _print(f"ended at once by a second signal, {name}: the last checkpoint is whole")
                end_now(ShutdownRequested(number).exit_code)


def _print(line: str) -> None:
    if is_rank_zero():
        with suppress(OSError):  # a closed terminal
            os.write(2, f"genspot: {line}\n".encode())


def _descendants(pid: int) -> list[int]:
    """Return the processes below `pid`, the nearest first."""
    pairs = list(_processes())
    found = [pid]
    for parent in found:  # which grows
        found += [child for child, above in pairs if above == parent]
    return found[1:]


def _processes() -> Iterator[tuple[int, int]]:
    """Yield each process with its parent."""
    for file in Path("/proc").glob("[0-9]*/stat"):  # Linux; a container may lack `ps`
        with suppress(OSError):
            yield int(file.parent.name), int(file.read_text("utf-8").rpartition(")")[2].split()[1])
    if not Path("/proc/self/stat").exists():
        listing = subprocess.check_output(["ps", "-A", "-o", "pid=,ppid="], text=True)
        for line in listing.splitlines():
            child, parent = line.split()
            yield int(child), int(parent)
