"""Signals: what a process does when it is told to end, and what a run leaves then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import ROOT, Run, tiny
from test_resume import assert_same_results, signalled

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX has these signals")

CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGUSR1": 143, "SIGUSR2": 143}

START = """
import os, signal, sys, time
from genspot.runtime import shutdown as signals
signals.ECHO_S = signals.URGENT_S = 1.0
inbox = signals.INBOX
inbox.listen(lambda told: print("last words:", told, flush=True))
def ready():
    print("ready", flush=True)
    if pipe := os.environ.get("READY"): os.write(int(pipe), b".")
def wait():  # one long sleep would not be cut short by a signal that comes just before it
    while True: time.sleep(0.02)
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program that listens, and waits until it says that it is ready."""
    begun: list[subprocess.Popen[str]] = []

    def call(program: str, before: str = "", **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", before + START + program],
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")} | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Whoever starts the tests in the background has it ignored, and so would they.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        begun.append(process)
        assert process.stdout is not None
        # Not a byte more: what a buffer took besides, `communicate` would not find.
        said = b"".join(os.read(process.stdout.fileno(), 1) for _ in "ready\n")
        assert said == b"ready\n"
        return process

    yield call
    for process in begun:
        process.kill()
        process.wait()


def ended(process: subprocess.Popen[str], *names: str, pause: float = 0) -> tuple[int, str]:
    """Exit code and output after `names` were sent, `pause` seconds apart."""
    for number, name in enumerate(names):
        time.sleep(pause if number else 0)
        process.send_signal(getattr(signal, name))
    output, _ = process.communicate(timeout=30)
    return process.returncode, output


WAIT = """
try:
    ready()
    wait()
except signals.Stopped as told:
    print(told)
    sys.exit(told.exit_code)
"""


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_a_signal_ends_what_runs_by_an_exception(name: str, code: int, start: Start) -> None:
    assert ended(start(WAIT), name) == (code, f"stopped by {name}\n")


def test_what_broken_files_are_caught_with_does_not_catch_it(start: Start) -> None:
    program = "while True:\n try: ready(); wait()\n except Exception: pass"
    code, output = ended(start(program), "SIGTERM")
    assert code == 1
    assert "Stopped: stopped by SIGTERM" in output


HOLD = """
inbox.hold()
ready()
end = time.monotonic() + 3
while time.monotonic() < end: time.sleep(0.05)
print("held", inbox.received)
try: inbox.release()
except signals.Stopped as told: sys.exit(told.exit_code)
"""


@pytest.mark.parametrize("names", [["SIGTERM"], ["SIGTERM", "SIGINT"], ["SIGUSR1", "SIGTERM"]])
def test_what_is_held_comes_to_its_end_first(names: list[str], start: Start) -> None:
    """Nor does a second signal of a scheduler's change that, or the same Ctrl-C passed on."""
    # Apart, for of two at once the lower number is heard first.
    code, output = ended(start(HOLD), *names, pause=0.1)
    assert (code, output) == (143, f"held {int(getattr(signal, names[0]))}\n")


def test_a_ctrl_c_that_is_passed_on_is_the_same_one_and_a_second_does_not_wait(
    start: Start,
) -> None:
    code, output = ended(start(HOLD), "SIGINT", "SIGINT", pause=0.1)
    assert (code, output) == (130, "held 2\n")
    code, output = ended(start(HOLD), "SIGINT", "SIGINT", pause=1.5)
    assert "Stopped: stopped by SIGINT" in output
    assert "held" not in output


def test_amid_imports_the_process_leaves_without_an_exception(start: Start) -> None:
    program = "with inbox.leaving():\n try: ready(); wait()\n finally: print('unwound')"
    assert ended(start(program), "SIGHUP") == (129, "last words: stopped by SIGHUP\n")


def test_what_is_ignored_stays_so(start: Start) -> None:
    before = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    assert ended(start(WAIT, before), "SIGHUP", "SIGTERM") == (143, "stopped by SIGTERM\n")


AFTER = "inbox.over(); ready(); time.sleep(1.5); print('closed'); sys.exit(1)"


def test_a_run_that_ends_already_may_close_its_files(start: Start) -> None:
    assert ended(start(AFTER), "SIGTERM", "SIGUSR1") == (1, "closed\n")
    assert ended(start(AFTER), "SIGINT") == (130, "last words: stopped by SIGINT\n")


# A mutex that is taken twice is never had, and signals do not interrupt the wait for it.
STUCK = """
import ctypes
signals.STUCK_S = 1.0
mutex, lock = ctypes.create_string_buffer(64), ctypes.CDLL(None).pthread_mutex_lock
ready()
for _ in range(2): lock(mutex)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_process_that_waits_outside_of_python_is_ended(name: str, start: Start) -> None:
    process = start(STUCK)
    time.sleep(1)  # until it waits
    assert ended(process, name) == (CODES[name], f"last words: stopped by {name}\n")


def test_a_training_that_waits_outside_of_python_is_ended_by_a_second_ctrl_c(
    start: Start,
) -> None:
    process = start("inbox.hold()" + STUCK)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)
    assert ended(process, "SIGINT") == (130, "last words: stopped by SIGINT\n")


def test_a_handler_of_somebody_elses_is_left_alone(start: Start) -> None:
    program = "signal.signal(signal.SIGTERM, lambda *_: print('theirs'))\nready()\ntime.sleep(2)"
    assert ended(start(program), "SIGTERM") == (0, "theirs\n")


def test_a_forked_process_has_none_of_it(start: Start) -> None:
    program = """
there, here = os.pipe()
child = os.fork()
if not child:
    os.write(here, b".")
    wait()
os.read(there, 1)
os.kill(child, signal.SIGTERM)
ready()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), inbox.received)
"""
    assert start(program).communicate(timeout=30)[0] == "-15 None\n"


# The parent starts a program and waits until it is ready; both say things by the one output.
FAMILY = """
import subprocess
there, here = os.pipe()
child = subprocess.Popen(
    [sys.executable, "-c", os.environ["CHILD"]],
    env=os.environ | {"LOCAL_RANK": "NUMBER", "READY": str(here)},
    pass_fds=[here],
)
os.read(there, 1)
"""


@pytest.mark.parametrize(
    ("rank", "said"),
    [("1", "last words: stopped by SIGTERM\n"), ("0", "stopped by SIGTERM\n")],
    ids=["rank", "job"],
)
def test_a_process_ends_after_the_one_that_started_it(rank: str, said: str, start: Start) -> None:
    """Another rank at once; a job of a sweep, which may have something to save, in order."""
    program = FAMILY.replace("NUMBER", rank) + "os._exit(0)"
    parent = start(program, CHILD=START + WAIT)
    assert parent.communicate(timeout=30)[0] == said


def test_another_rank_passes_on_what_it_is_told(start: Start) -> None:
    """And does nothing by itself, so that the first is told whatever it is at."""
    program = "try:\n" + FAMILY.replace("NUMBER", "1").replace("\n", "\n ")
    program += "\n child.send_signal(signal.SIGHUP); wait()\n" + WAIT.split("\n", 4)[-1]
    parent = start(program, CHILD=START + "ready()\nwait()")
    output = parent.communicate(timeout=30)[0]
    assert sorted(output.splitlines()) == ["last words: stopped by SIGTERM", "stopped by SIGTERM"]
    assert parent.returncode == 143


def test_amid_the_imports_of_run_py_there_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "hydra.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)")
    result = subprocess.run(
        [sys.executable, str(ROOT / "run.py")],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert result.stderr == "genspot: stopped by SIGINT; nothing was begun\n"
    assert result.returncode == 130


def told(task: str, name: str, folder: Path, rank: int = 0) -> list[str]:
    where = f"{{name: {name}, row: {4 + rank}, rank: {rank}, mark: '{folder}/sent'}}"
    return [f"task={task}", "task.run=signals.told", f"+task.told={where}"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_prediction_ends_at_once(
    name: str, run: Run, sets: Path, trained: Path, tmp_path: Path
) -> None:
    words = [*told("predict", name, tmp_path), f"inputs={sets}/train", "trainer=cpu"]
    words += [f"checkpoint={trained}/best.ckpt", f"hydra.run.dir={tmp_path}/run", "workers=0"]
    result = run(*words, cwd=tmp_path, PYTHONPATH=str(ROOT / "tests"))
    assert result.returncode == CODES[name], result.stderr
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("genspot: ")]
    assert line.startswith(f"genspot: stopped by {name}; the same command, into {tmp_path}/run")
    assert not (tmp_path / "run" / "predictions.csv").exists()
    again = run(*words, cwd=tmp_path, PYTHONPATH=str(ROOT / "tests"))
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("phase", ["setup", "test"])
def test_a_training_is_told_before_and_after_it(
    phase: str, run: Run, sets: Path, trained: Path, tmp_path: Path
) -> None:
    words = [*tiny(sets), "workers=0", f"hydra.run.dir={tmp_path}/run"]
    if phase == "setup":
        words += signalled("SIGTERM", epoch=-1, batch=0, folder=tmp_path)
    else:
        words += told("train", "SIGTERM", tmp_path)
    first = run(*words, cwd=tmp_path, PYTHONPATH=str(ROOT / "tests"))
    assert first.returncode == 143, first.stderr
    assert "Traceback" not in first.stderr
    assert "stopped by SIGTERM; the same command" in first.stderr
    assert (tmp_path / "run" / "last.ckpt").exists() == (phase == "test")
    again = run(*words, cwd=tmp_path, PYTHONPATH=str(ROOT / "tests"))
    assert again.returncode == 0, again.stderr
    assert_same_results(tmp_path / "run", trained)
