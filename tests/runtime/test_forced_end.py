"""A stuck process ends at a second signal, with its children, and at a time limit."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from helpers.processes import is_running

# A training that defers signals and hangs, in Python or in C, where no handler of Python runs;
# with a forked reader and another program below it.
STUCK = """
import ctypes, multiprocessing, os, signal, subprocess, sys, time
from genspot.runtime import forced_end
from genspot.runtime.shutdown import SHUTDOWN_SIGNALS, ShutdownHandler
forced_end.DOUBLE_S = 1.0
signal.signal(signal.SIGINT, signal.default_int_handler)
handler = ShutdownHandler()
handler.install()
handler.defer()
forced_end.end_at_second_signal(SHUTDOWN_SIGNALS)

def hang():
    for number in SHUTDOWN_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    time.sleep(60)

reader = multiprocessing.get_context("fork").Process(target=hang, daemon=True)
reader.start()
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(reader.pid, other.pid, flush=True)
mutex = ctypes.create_string_buffer(256)
while {in_c}:
    ctypes.CDLL(None).pthread_mutex_lock(mutex)
time.sleep(60)
"""
# A signal that a forked reader receives is not the second one of its parent.
FORKED = """
import multiprocessing, os, signal, time
from genspot.runtime import forced_end
forced_end.DOUBLE_S = 0.5
signal.signal(signal.SIGTERM, lambda *_: None)
forced_end.end_at_second_signal([signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(1)
child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
child.start()
time.sleep(0.5)
os.kill(child.pid, signal.SIGTERM)
time.sleep(0.5)
child.kill()
"""
# At its end Python waits for a reader that ignores SIGTERM.
READER = """
import multiprocessing, signal, sys, time
from genspot.runtime import forced_end
forced_end.EXIT_LIMIT_S = 1.0

def read():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("reading", flush=True)
    time.sleep(60)

reader = multiprocessing.get_context("fork").Process(target=read, daemon=True)
reader.start()
time.sleep(1)
forced_end.end_within_limit(7)
sys.exit(7)
"""


def start(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("in_c", [False, True])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_a_stuck_process_and_all_below_it(
    second: signal.Signals, in_c: bool
) -> None:
    process = start(STUCK.format(in_c=in_c))
    assert process.stdout is not None
    children = [int(pid) for pid in process.stdout.readline().split()]
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)  # a scheduler's, to the job and to its processes
    time.sleep(1.5)
    assert process.poll() is None
    process.send_signal(second)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 128 + second
    first_line, last_line = errors.splitlines()
    assert first_line == (
        "genspot: this takes longer: a second signal ends the run at once, without saving"
    )
    assert last_line.startswith(f"genspot: ended at once by a second signal, {second.name}")
    end = time.monotonic() + 10
    while any(is_running(pid) for pid in children):
        assert time.monotonic() < end, "an orphan is left"
        time.sleep(0.05)


def test_signals_of_forked_processes_do_not_count() -> None:
    process = start(FORKED)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors


def test_end_does_not_wait_for_a_reader_that_hangs() -> None:
    process = start(READER)
    began = time.monotonic()
    process.communicate(timeout=30)
    assert process.returncode == 7
    assert time.monotonic() - began < 20
