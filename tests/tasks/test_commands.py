"""The command that continues a run, as it was typed."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from genspot.tasks.commands import how_to_continue, quoted
from genspot.tasks.composition import prepare_arguments
from genspot.tasks.overrides import parse_overrides

JOBS = ("SLURM_JOB_ID", "SLURM_JOB_NAME", "TORCHELASTIC_RUN_ID")


@pytest.fixture(autouse=True)
def no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in JOBS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("typed", "script", "expected"),
    [
        (["python", "run.py", "seed=1"], "run.py", "python run.py seed=1"),
        (["python3", "-u", "../run.py"], "../run.py", "python3 -u ../run.py"),
        (
            ["/env/bin/python", "-m", "genspot.tasks.main", "a='b c'"],
            "/src/genspot/tasks/main.py",
            """/env/bin/python -m genspot.tasks.main 'a='"'"'b c'"'"''""",
        ),
        (
            ["/env/bin/python", "SCRIPT/genspot", "-m", "x=1,2"],
            "SCRIPT/genspot",
            "genspot -m x=1,2",
        ),
        (
            ["python", "run.py", "hydra.run.dir=old", "seed=1", "++hydra.run.dir=older"],
            "run.py",
            "python run.py seed=1",
        ),
    ],
)
def test_command_is_as_typed_with_the_folder(
    typed: list[str],
    script: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "genspot").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    typed, script = [one.replace("SCRIPT", str(tmp_path)) for one in typed], script
    script = script.replace("SCRIPT", str(tmp_path))
    start = typed.index(script) if script in typed else typed.index("genspot.tasks.main")
    monkeypatch.setattr(sys, "orig_argv", typed)
    monkeypatch.setattr(sys, "argv", [script, *typed[start + 1 :]])
    command = how_to_continue("hydra.run.dir", Path("/runs/one"))
    assert command == f"{expected} hydra.run.dir=/runs/one"


@pytest.mark.parametrize("never", ["resume=never", "+resume=never", "++resume='never'"])
def test_command_begins_nothing_again(never: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "run.py", never, "a=1"])
    monkeypatch.setattr(sys, "argv", ["run.py", never, "a=1"])
    assert how_to_continue("hydra.run.dir", Path("/r")) == "python run.py a=1 hydra.run.dir=/r"


@pytest.mark.parametrize("typed", ["a=1,2 -m", "a=1 --config-dir X", "a=1 --multirun", "-m"])
def test_command_with_an_option_at_its_end_is_taken(
    typed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Overrides may stand on both sides of an option."""
    monkeypatch.setattr(sys, "orig_argv", ["python", "run.py", *typed.split()])
    monkeypatch.setattr(sys, "argv", ["run.py", *typed.split()])
    arguments = shlex.split(how_to_continue("hydra.run.dir", Path("/r")))[2:]
    overrides = sorted(one for one in typed.split() if "=" in one) + ["hydra.run.dir=/r"]
    assert prepare_arguments(arguments)[-len(overrides) :] == overrides


def test_command_of_a_script_that_is_not_on_the_path_has_its_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = str(tmp_path / "genspot")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "orig_argv", ["/env/bin/python", script, "seed=1"])
    monkeypatch.setattr(sys, "argv", [script, "seed=1"])
    command = how_to_continue("hydra.sweep.dir", Path("/s"))
    assert command == f"{script} seed=1 hydra.sweep.dir=/s"


@pytest.mark.parametrize(
    "job", [{"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "train"}, {"TORCHELASTIC_RUN_ID": "none"}]
)
def test_in_a_job_the_same_command_continues(
    job: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    line = how_to_continue("hydra.run.dir", Path("/runs/one"))
    assert line == "the same command in the same job, or with hydra.run.dir=/runs/one"


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "it's",
        'say "a"',
        "a b",
        "#1 100%",
        "ü€",
        "back\\slash",
        "end\\",
        "$HOME ${x}",
        "a,b=[c]",
    ],
)
def test_quoted_path_is_read_back_by_shell_and_hydra(name: str) -> None:
    path = Path("/runs") / name
    (typed,) = shlex.split(shlex.quote(f"hydra.run.dir={quoted(path)}"))
    (override,) = parse_overrides([typed])
    assert str(override.value()).replace("\\${", "${") == str(path)
