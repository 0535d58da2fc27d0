"""run.py in processes forked from one that has imported PyTorch and the others already.

Importing them is half of what a tiny run takes. Tests of what a start itself does, and of what
comes from outside of a process, begin a new interpreter instead.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from multiprocessing.context import BaseContext
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Nothing of them is run. W&B is none of them: each process has temporary folders of its own.
IMPORTED = ["pytorch_lightning", "genspot.data.datamodule", "numba", "scipy.signal", "matplotlib.figure"]


def server() -> BaseContext | None:
    """Where runs are forked from, with one thread; None where there is no forking."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return None
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def run(
    context: BaseContext, words: list[str], cwd: Path, env: dict[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run` gives for run.py with these arguments."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = [os.path.join(folder, name) for name in ("stdout", "stderr")]
        # Its name tells a process of joblib's from others.
        process = context.Process(  # type: ignore[attr-defined]
            target=_main, args=(words, str(cwd), env, outputs), name="MainProcess"
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(words, timeout)
        texts = [Path(output).read_text("utf-8", "replace") for output in outputs]
        return subprocess.CompletedProcess(words, process.exitcode, *texts)


def _main(words: list[str], cwd: str, env: dict[str, str], outputs: list[str]) -> None:
    """As a new interpreter would do it, from here on; its exit code is that of the process."""
    for number, output in enumerate(outputs, 1):
        os.dup2(os.open(output, os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    own = [path for path in sys.path if not Path(path or ".").resolve().is_relative_to(ROOT)]
    site = [path for path in sys.path if "site-packages" in path]
    known = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:] = [str(ROOT), *known, *dict.fromkeys([*own, *site])]
    sys.argv[:] = [str(ROOT / "run.py"), *words]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()  # which multiprocessing leaves out
