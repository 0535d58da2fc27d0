"""Repeated small trainings with random kills: do they leak processes, memory or files?

    PYTHONPATH=src:tests python -m benchmarks.soak --minutes 120

Each round trains a tiny detector, with reading processes every second time, and kills it (SIGKILL
or SIGTERM) at a random moment until it survives; the same command then goes on. Its scores must be
those of a training that was left alone. After each round nothing may be left: no process, no file
among the temporary ones or in shared memory. One line a round goes to the file `--out`.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conftest import RESNET, ROOT, save_set, tiny

KILLS = (signal.SIGKILL, signal.SIGTERM)
FIELDS = ("round", "seconds", "kills", "same", "processes", "files", "shared", "peak_mb")


def begin(words: list[str], scratch: Path) -> subprocess.Popen[bytes]:
    """A run in a process group of its own, with temporary files of its own."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *words],
        cwd=scratch,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(scratch / "tmp")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[bytes], seconds: float | None) -> tuple[int, int]:
    """Exit code and peak memory in MB; after `seconds` the process is killed first."""
    ended = 0
    if seconds is not None:
        time.sleep(seconds)
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if not ended:
            os.kill(process.pid, random.choice(KILLS))
    if not ended:
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss // 1024


def left(group: int) -> int:
    """Processes of `group` that are alive ten seconds later; readers notice a dead parent in 5."""
    for _ in range(20):
        alive = subprocess.run(["pgrep", "-g", str(group)], capture_output=True).stdout.split()
        if not alive:
            return 0
        time.sleep(0.5)
    return len(alive)


def files_in(folder: str | Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))


def one_round(words: list[str], scratch: Path, folder: Path, usual: float) -> dict[str, int]:
    """Train into `folder`, killing at random, until the run ends by itself.

    `usual` is how many seconds it takes when it is left alone.
    """
    kills = processes = peak = 0
    while True:
        # Before it is ready, in its steps, or not at all.
        seconds = usual * random.uniform(0.1, 1.1)
        process = begin([*words, f"hydra.run.dir={folder}"], scratch)
        code, memory = finish(process, seconds)
        peak = max(peak, memory)
        processes += left(process.pid)
        if code == 0:
            return {"kills": kills, "processes": processes, "peak_mb": peak}
        kills += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--out", default="soak.csv")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    random.seed(args.seed)
    end = time.monotonic() + 60 * args.minutes
    with tempfile.TemporaryDirectory() as name, open(args.out, "w", newline="") as out:
        scratch = Path(name)
        (scratch / "tmp").mkdir()
        for kind, reals in (("train/cat", 24), ("train/dog", 24), ("val", 6), ("test", 8)):
            save_set(scratch / "sets" / kind, reals, reals, seed=reals)
        common = [*tiny(scratch / "sets"), *RESNET, "schedule.max_epochs=4"]
        began = time.monotonic()
        finish(begin([*common, "workers=0", f"hydra.run.dir={scratch}/alone"], scratch), None)
        usual = time.monotonic() - began
        expected = (scratch / "alone" / "scores.parquet").read_bytes()
        shared = files_in("/dev/shm")
        rows = csv.DictWriter(out, FIELDS)
        rows.writeheader()
        number = 0
        while time.monotonic() < end:
            began, folder = time.monotonic(), scratch / f"round{number}"
            words = [*common, f"workers={number % 2 * 2}"]
            row = one_round(words, scratch, folder, usual)
            row["same"] = int((folder / "scores.parquet").read_bytes() == expected)
            row["files"] = files_in(scratch / "tmp")
            row["shared"] = files_in("/dev/shm") - shared
            row |= {"round": number, "seconds": round(time.monotonic() - began)}
            rows.writerow(row)
            out.flush()
            subprocess.run(["rm", "-r", str(folder)], check=True)
            number += 1


if __name__ == "__main__":
    main()
