"""`genspot.run`: several runs in one process, which is left as it was."""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

import genspot
from genspot.tasks import main
from genspot.tasks import report as reports
from genspot.tasks.paths import CONF
from helpers.fault_injection import signal_in_training
from helpers.runs import read_metrics
from helpers.settings import tiny


def state() -> dict[str, object]:
    """Return what a run must leave alone."""
    loggers = [logging.getLogger(name) for name in ("", "genspot", "pytorch_lightning")]
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2
    return {
        "handlers": [list(logger.handlers) for logger in loggers],
        "levels": [logger.level for logger in loggers],
        "raise": logging.raiseExceptions,
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in numbers],
        "environment": dict(os.environ),
        "arguments": list(sys.argv),
        "hydra": GlobalHydra.instance().hydra,
        "job": HydraConfig.instance().cfg,
        "precision": torch.get_float32_matmul_precision(),
        "tf32": torch.backends.cudnn.allow_tf32,
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),  # type: ignore[index]
        "torch": torch.get_rng_state().tolist(),
        "folder": os.getcwd(),
    }


def test_run_twice_gives_two_folders_and_two_logs(
    sets: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = state()
    folders = [genspot.run(*tiny(sets), f"seed={seed}") for seed in (0, 0, 1)]
    assert len(set(folders)) == 3
    for folder in folders:
        assert folder.parent == tmp_path / "runs"
        log = (folder / "genspot.log").read_text()
        assert log.count("training small on cpu") == 1
        assert (folder / "report.html").is_file()
    assert state() == before
    # The same figures as a run of its own, and of the second after the first.
    expected = read_metrics(trained)["generators"]
    assert [read_metrics(folder)["generators"] == expected for folder in folders] == [
        True,
        True,
        False,
    ]


def test_run_raises_one_line_and_leaves_nothing(sets: Path, tmp_path: Path) -> None:
    before = state()
    folder = tmp_path / "run"
    for wrong, expected in (
        (["seed=-1"], "seed=-1"),
        (["generator=[sitdd]"], "did you mean 'sitd'"),
        (["trainer.precison=32"], "did you mean 'precision'"),
        (["data.train=nowhere"], "nowhere"),
        (["data=null"], "name one of its choices"),
        (["task.run=genspot.tasks.train.foo"], "no such function"),
        (["trainer=ddp"], "on the command line"),
        (["hydra.mode=MULTIRUN"], "on the command line"),
    ):
        with pytest.raises(genspot.GenspotError, match=expected) as error:
            genspot.run(*tiny(sets), *wrong, f"hydra.run.dir='{folder}'")
        assert "\n" not in str(error.value)
        assert not folder.exists()
    with pytest.raises(genspot.GenspotError, match="no such folder"):
        genspot.run(config_dir=tmp_path / "missing")
    assert state() == before


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/passwd/x", "/proc/x", "a" * 300])
def test_run_names_what_can_be_no_folder(path: str) -> None:
    with pytest.raises(OSError, match=r"hydra\.run\.dir=PATH") as error:
        genspot.run("task=report", f"hydra.run.dir={path}")
    assert path in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("override", [5, None, ["seed=1"], {"seed": 1}])
def test_run_takes_texts_alone(override: object) -> None:
    with pytest.raises(genspot.GenspotError, match="give the overrides as texts"):
        genspot.run(override)  # type: ignore[arg-type]


def test_run_refuses_a_second_one_at_the_same_time_and_runs_without_streams(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    def report(cfg: object) -> None:
        with pytest.raises(genspot.GenspotError) as error:
            genspot.run("task=report", "seed=1")
        refused.append(str(error.value))
        print("shown to nobody", sys.stdout.isatty(), sys.stderr.isatty())

    monkeypatch.setattr(reports, "report", report)
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    settings = ["task=report", f"runs=[{trained}]"]
    genspot.run(*settings, f"hydra.run.dir={tmp_path}/mock")
    assert sys.stdout is None and sys.stderr is None
    monkeypatch.undo()
    assert len(refused) == 1 and refused[0].startswith("another run is at work in this process")
    folder = genspot.run(*settings, f"hydra.run.dir={tmp_path}/run")
    assert (folder / "report.html").is_file()


def test_run_stopped_by_a_signal_raises_and_the_next_one_goes_on(
    sets: Path, trained: Path, tmp_path: Path
) -> None:
    before = state()
    settings = [*tiny(sets), *signal_in_training("SIGTERM", 1, 0, tmp_path)]
    settings.append(f"hydra.run.dir='{tmp_path}/run'")
    with pytest.raises(genspot.ShutdownRequested, match="SIGTERM"):
        genspot.run(*settings)
    assert state() == before
    folder = genspot.run(*settings)
    assert read_metrics(folder)["generators"] == read_metrics(trained)["generators"]


def test_run_in_a_thread_and_within_another_hydra_application(
    trained: Path, tmp_path: Path
) -> None:
    folders: list[Path] = []
    with initialize_config_dir(str(CONF), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        settings = ["task=report", f"runs=[{trained}]", f"hydra.run.dir={tmp_path}/run"]
        thread = threading.Thread(target=lambda: folders.append(genspot.run(*settings)))
        thread.start()
        thread.join()
        assert GlobalHydra.instance().hydra is hydra
        assert compose("config").seed == 0
    assert (folders[0] / "report.html").is_file()


def test_main_run_twice_in_one_process_takes_each_command_line(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    signals = {number: signal.getsignal(number) for number in main.SHUTDOWN_SIGNALS}
    try:
        for title in ("Larch", "Poplar"):
            arguments = ["run.py", "task=report", f"runs=[{trained}]", f"report.title={title}"]
            monkeypatch.setattr(sys, "argv", arguments)
            main.run()
    finally:
        root.handlers, root.level = handlers, level
        for number, handler in signals.items():
            signal.signal(number, handler)
        # Else the watch of `end_at_second_signal` would end the tests at later signals of theirs.
        signal.set_wakeup_fd(-1)
    pages = [file.read_text() for file in (tmp_path / "runs").glob("*/report.html")]
    assert sorted(("Larch" in page, "Poplar" in page) for page in pages) == [
        (False, True),
        (True, False),
    ]
    assert len(list((tmp_path / "runs").glob("*/genspot.log"))) == 2
