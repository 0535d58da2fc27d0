"""What the configuration makes of names: folders of runs, and the tasks' functions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf.errors import OmegaConfBaseException

from genspot.tasks.composition import composed, find_task, folder_name, prepare_arguments
from genspot.tasks.error_messages import format_error
from genspot.tasks.train import train
from helpers.cli_runner import CliRunner
from helpers.errors import error_of


@pytest.mark.parametrize("name", ["../../x", "a/b", "/etc", "a\nb", "a\x1b[31m", "a" * 300])
def test_folder_name_refuses_other_folders(name: str) -> None:
    assert "give short names without /" in error_of(folder_name, name)


def test_folder_name_is_part_of_the_name_of_runs_and_jobs() -> None:
    assert folder_name("progan_20cls_none_resnet50") == "progan_20cls_none_resnet50"
    with composed("data=progan_2cls", "aug=none", "seed=7") as cfg:
        assert Path(cfg.paths.output).name.endswith("_progan_2cls_none_resnet50")
        assert cfg.task.folder == "progan_2cls_none_resnet50"
        assert HydraConfig.get().run.dir == cfg.paths.output


@pytest.mark.parametrize(
    "override",
    ["data.name='../../x'", "aug.name=a/b", "model.name=a/b", "task.folder='../../x'"],
)
@pytest.mark.parametrize("mode", [[], ["seed=0,1", "-m"]])
def test_command_line_refuses_a_name_that_leaves_the_folder_of_runs(
    override: str, mode: list[str], run: CliRunner, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    result = run(override, *mode, cwd=tmp_path / "work")
    assert result.returncode == 1
    assert "cannot be part of the name of a run's folder" in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["work"]
    assert not list(tmp_path.glob("work/runs/*_x*"))


def test_command_line_refuses_a_folder_whose_name_is_too_long(
    run: CliRunner, tmp_path: Path
) -> None:
    result = run(f"hydra.run.dir={'a' * 300}", cwd=tmp_path)
    assert result.returncode == 1
    (line,) = [line for line in result.stderr.splitlines() if line.strip()]
    assert line.startswith("genspot: no folder can be made of ")


def test_find_task_names_what_is_no_function() -> None:
    with composed() as cfg:
        assert find_task(cfg) is train
        for name in ("foo", "genspot.tasks.train.foo", "genspot.tasks.foo.bar", "a b", "math.pi"):
            cfg.task.run = name
            assert error_of(find_task, cfg).startswith(f"task.run={name}: no such function")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("a=b --config-dir X c=d -m", "--config-dir X -m a=b c=d"),
        ("a=b --config-dir=X ~c", "--config-dir=X a=b ~c"),
        ("a=b -cd x=y ~c", "-cd x=y a=b ~c"),
        ("a=b experiments=null -c job", "-c job a=b"),
        ("-sc query=bash", "-sc query=bash"),
        ("seed=1 seed=2", "seed=1 seed=2"),
    ],
)
def test_prepare_arguments_puts_options_first(arguments: str, expected: str) -> None:
    assert prepare_arguments(arguments.split()) == expected.split()


def test_composed_takes_no_study() -> None:
    with composed("experiments=null") as cfg:
        assert cfg.seed == 0


def test_composed_refuses_a_working_directory_that_settings_cannot_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a${seed}").mkdir()
    monkeypatch.chdir(tmp_path / "a${seed}")
    with pytest.raises(OmegaConfBaseException) as error, composed():
        pass
    assert "has ${ in its name" in format_error(error.value)
