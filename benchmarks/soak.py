"""Repeated small trainings with random kills: their bits, and what they leave behind.

    python -m benchmarks.soak --minutes 120

Each round trains a tiny detector (with workers in every second round), kills it by SIGKILL or
SIGTERM at a random moment and starts the same command again, until a start survives. Its scores
must be those of a training that was not disturbed. Then no process and no file may remain, neither
among the temporary files nor in shared memory. Each round is a line of the file `--out`.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KILLS = (signal.SIGKILL, signal.SIGTERM)
COLUMNS = ("round", "seconds", "kills", "same", "processes", "files", "shared", "peak_mb")
WORKER_EXIT_S = 10  # readers notice a dead parent within 5 seconds
COMMAND = (sys.executable, "-m", "genspot.tasks.main")
TRAINING = (
    "experiments=mini",
    "generator=[sim_nearest]",
    "simulation={size: 40, train: 48, val: 6, test: 8}",
    "model.train.crop=32",
    "model.test.crop=32",
    "schedule.batch_size=8",
    "trainer=cpu",
)


def start_training(scratch: Path, folder: Path, workers: int) -> subprocess.Popen[bytes]:
    """Start a training in a process group of its own, with temporary files of its own."""
    return subprocess.Popen(
        [*COMMAND, *TRAINING, f"workers={workers}", f"hydra.run.dir={folder}"],
        cwd=scratch,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(scratch / "tmp")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait(process: subprocess.Popen[bytes], kill_after_s: float | None) -> tuple[int, int]:
    """Return exit code and peak memory in MB, after a kill if `kill_after_s` passes before."""
    ended = 0
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if not ended:
            os.kill(process.pid, random.choice(KILLS))
    if not ended:
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss // 1024


def remaining_processes(group: int) -> int:
    """Return how many processes of `group` are alive after `WORKER_EXIT_S`."""
    deadline = time.monotonic() + WORKER_EXIT_S
    while alive := subprocess.run(["pgrep", "-g", str(group)], capture_output=True).stdout.split():
        if time.monotonic() > deadline:
            return len(alive)
        time.sleep(0.5)
    return 0


def files_in(folder: str | Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


def one_round(scratch: Path, folder: Path, workers: int, usual_s: float) -> dict[str, int]:
    """Train into `folder` with kills until the training ends by itself.

    Args:
        scratch: working directory of the training.
        folder: of the run.
        workers: reading processes.
        usual_s: seconds of an undisturbed training. Kills come before it is ready, in its steps,
            or not at all.
    """
    kills = processes = peak = 0
    while True:
        process = start_training(scratch, folder, workers)
        code, memory = wait(process, usual_s * random.uniform(0.1, 1.1))
        peak = max(peak, memory)
        processes += remaining_processes(process.pid)
        if code == 0:
            return {"kills": kills, "processes": processes, "peak_mb": peak}
        kills += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--out", default="soak.csv")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    end = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as name, open(options.out, "w", newline="") as out:
        scratch = Path(name)
        (scratch / "tmp").mkdir()
        undisturbed = scratch / "undisturbed"
        start = time.monotonic()
        wait(start_training(scratch, undisturbed, workers=0), None)
        usual_s = time.monotonic() - start
        expected = (undisturbed / "scores.parquet").read_bytes()
        shared = files_in("/dev/shm")
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        number = 0
        while number == 0 or time.monotonic() < end:
            start, folder = time.monotonic(), scratch / f"round{number}"
            row = one_round(scratch, folder, number % 2 * 2, usual_s)
            row["same"] = int((folder / "scores.parquet").read_bytes() == expected)
            row["files"] = files_in(scratch / "tmp")
            row["shared"] = files_in("/dev/shm") - shared
            writer.writerow(row | {"round": number, "seconds": round(time.monotonic() - start)})
            out.flush()
            shutil.rmtree(folder)
            number += 1


if __name__ == "__main__":
    main()
