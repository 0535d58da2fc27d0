"""The command line in processes forked from one that has imported PyTorch already.

The imports are half of what a tiny run takes. Tests of the start itself, and of what reaches a
process from outside, start a new interpreter instead.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from helpers.settings import ROOT

TIMEOUT_S = 300
# Not W&B: each process has temporary folders of its own.
PRELOADED = ["pytorch_lightning", "genspot.data.datamodule", "numba", "matplotlib.figure"]


class CliRunner:
    """Calls `python run.py`, from any working directory, on one thread."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)

    def __call__(self, *overrides: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Run with `overrides` and the additional environment `env`."""
        # One thread: the bits of a sum depend on how many threads share it.
        env = os.environ | {"OMP_NUM_THREADS": "1", **env}
        command = [str(ROOT / "run.py"), *overrides]
        forked = env["OMP_NUM_THREADS"] == os.environ.get("OMP_NUM_THREADS")
        if not forked or "-m" in overrides:  # joblib needs a new interpreter
            command = [sys.executable, *command]
            return subprocess.run(
                command, cwd=cwd, env=env, capture_output=True, text=True, timeout=TIMEOUT_S
            )
        with tempfile.TemporaryDirectory() as folder:
            outputs = [Path(folder, name) for name in ("stdout", "stderr")]
            # The name that the code under test has in an interpreter of its own.
            process = self._context.Process(
                target=_main, args=(command, cwd, env, outputs), name="MainProcess"
            )
            process.start()
            process.join(TIMEOUT_S)
            if process.exitcode is None:
                process.kill()
                raise subprocess.TimeoutExpired(command, TIMEOUT_S)
            texts = [output.read_text("utf-8", "replace") for output in outputs]
        return subprocess.CompletedProcess(command, process.exitcode, *texts)


def _main(command: list[str], cwd: Path, env: dict[str, str], outputs: list[Path]) -> None:
    """Run the command line as a new interpreter would; its exit code is that of the process."""
    for number, output in enumerate(outputs, 1):
        os.dup2(os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[:0] = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv[:] = command
    try:
        from genspot.tasks.main import main

        main()
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()  # multiprocessing leaves them out
