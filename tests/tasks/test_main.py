"""The start of the command line, and its standard streams."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from genspot.common.errors import GenspotError
from genspot.runtime.run_folder import lock_run_folder
from genspot.tasks import main
from genspot.tasks.main import prepare_signals
from helpers.cli_runner import CliRunner
from helpers.settings import ROOT


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["--help"], "experiments=quickstart"), (["-sc", "query=bash"], "data=progan_20cls")],
)
def test_help_and_completion_do_not_import_torch(
    arguments: list[str], expected: str, tmp_path: Path
) -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", str(ROOT / "run.py"), *arguments],
        cwd=tmp_path,
        env=os.environ | {"COMP_LINE": "python run.py data=progan_", "COMP_POINT": "26"},
        capture_output=True,
        text=True,
    )
    assert expected in result.stdout
    modules = {line.rsplit("|", 1)[-1].strip() for line in result.stderr.splitlines()}
    assert "hydra" in modules
    assert not modules & {"torch", "numpy", "pytorch_lightning", "albumentations"}


@pytest.mark.parametrize("streams", ["| true", "2>&1 | true", ">&-", "<&- >&- 2>&-"])
def test_run_lasts_without_streams_or_their_reader(
    streams: str, trained: Path, tmp_path: Path
) -> None:
    settings = ["task=report", f"runs=[{trained}]", f"hydra.run.dir={tmp_path}/run"]
    command = shlex.join([sys.executable, str(ROOT / "run.py"), *settings])
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} {streams}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
@pytest.mark.parametrize("left", ["genspot.log", "last.ckpt"])
def test_signal_during_the_imports_ends_with_a_line_and_leaves_nothing(
    name: str, left: str, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / left).touch()
    number, output = getattr(signal, name), tmp_path / "output"
    if not (pid := os.fork()):
        os.dup2(os.open(output, os.O_CREAT | os.O_WRONLY), 2)
        signal.signal(number, signal.SIG_DFL)
        prepare_signals()
        with lock_run_folder(tmp_path / "run"):
            os.kill(os.getpid(), number)
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 128 + number
    assert output.read_text() == f"genspot: stopped by {name}; nothing was started\n"
    assert (tmp_path / "run").exists() == (left == "last.ckpt")


def test_run_that_is_refused_leaves_the_folder_of_the_running_one(
    run: CliRunner, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with FileLock(folder / ".lock"):
        result = run("task=report", f"hydra.run.dir={folder}", cwd=tmp_path)
        assert result.returncode == 1
        assert "another run is at work" in result.stderr
        assert (folder / ".lock").exists()


@pytest.mark.parametrize("same_end", [False, True])
def test_exit_with_error_says_how_to_continue_unless_it_would_end_the_same(
    same_end: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(main, "has_started", lambda folder: True)
    (tmp_path / "test.0.scores.jsonl").touch()
    if same_end:
        (tmp_path / "not_finite_logits.csv").touch()
    with pytest.raises(SystemExit):
        main.exit_with_error(GenspotError("a fault"), tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    assert ("to continue: " in line) is not same_end


def test_bars_are_off_in_pipes_before_the_settings_are_checked(tmp_path: Path) -> None:
    """tqdm reads its switch when it is imported, as the check of a table of generators does."""
    program = (
        "import os, sys\n"
        "from genspot.tasks import main\n"
        "def check(cfg):\n"
        "    print(os.environ.get('TQDM_DISABLE'), 'tqdm' in sys.modules)\n"
        "    raise SystemExit\n"
        "main.check_settings = check\n"
        "main.main()\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "TQDM_DISABLE"}
    result = subprocess.run(
        [sys.executable, "-c", program, "task=test", f"hydra.run.dir={tmp_path}/run"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.stdout == "1 False\n", result.stderr
