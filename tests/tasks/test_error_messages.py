"""One clear line for each mistake, on the command line."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from genspot.tasks.error_messages import (
    describe_os_error,
    describe_peer_loss,
    describe_start_error,
)
from helpers.cli_runner import CliRunner
from helpers.images import save_set
from helpers.settings import SEARCH_PATH

SETS = ["data=folder", "data.train=whole", "data.val=whole", "test_set.path=whole"]
TRAIN = [*SETS, SEARCH_PATH, "model=small"]
TEST = ["task=test", "generator=folder", "checkpoint=CHECKPOINT", SEARCH_PATH]
PREDICT = ["task=predict", "checkpoint=CHECKPOINT", SEARCH_PATH]
SLURM = "hydra-submitit-launcher: pip install 'genspot[slurm]' (in a checkout: make slurm)"
MISTAKES = {
    # Found by Hydra
    "unknown generator": (["generator=[sitdd]"], ["sitdd", "did you mean 'sitd'"]),
    "unknown data set": (["data=progan_20cl"], ["did you mean 'progan_20cls'"]),
    "unknown study": (["experiments=quickstar"], ["did you mean 'quickstart'"]),
    "misspelt key": (["trainer.precison=32"], ["trainer.precison", "did you mean 'precision'"]),
    "end of a key": (["optimizer.lr=1"], ["did you mean 'schedule.optimizer.lr'"]),
    "path with an equals sign": (["test_set.path=my set=1"], ["my set=1", "'a value'"]),
    "generators without brackets": (["generator=sitd,san"], ["generator=[sitd,san]"]),
    "plus before a setting": (
        ["+trainer.default_root_dir=/x"],
        ["trainer.default_root_dir is a setting already", "leave out the +"],
    ),
    "plus before a plain setting": (["+seed=3"], ["seed is a setting already"]),
    "published figures chosen": (["baseline=wang2020"], ["baseline/ are not chosen; tests read"]),
    "published files chosen": (
        ["download=progan_val"],
        ["conf/download/ are not chosen; data=NAME"],
    ),
    "plus before a recipe": (["+recipe=npr"], ["recipe is a setting already: leave out the +"]),
    "number of a recipe": (["recipe=1"], ["recipe, ablation) is null, or a number"]),
    "launcher of no sweep": (["hydra/launcher=basic"], ["launcher=basic is of a sweep: add -m"]),
    "sweeper of no sweep": (["hydra.sweeper.max_batch_size=1"], ["is of a sweep: add -m"]),
    "model without a name": (["~model.name"], ["model.name is missing", "+model.name=VALUE"]),
    "list of studies": (["experiments=[quickstart]"], ["[quickstart]: give one study"]),
    "no such studies": (["experiments=[mini,foo]"], ["no 'foo' in experiments/", "quickstart"]),
    "precision of a test": ([*TEST, "trainer.precision=bf16-true"], ["precision=bf16-true: give"]),
    "file in latin-1": (
        ["hydra.searchpath=[own]", "generator=[latin]"],
        ["own/generator/latin.yaml is not UTF-8: save it as UTF-8"],
    ),
    "file in utf-16 beside an option": (
        ["task=test", "--config-dir", "own", "generator=[wide]"],
        ["own/generator/wide.yaml is not UTF-8"],
    ),
    "missing value": (["data=folder"], ["data.train"]),
    "missing part of a name": (["model=timm"], ["model.arch is missing: give model.arch=VALUE"]),
    # Found by a constructor, the trainer, a task
    "augmentation": ([*TRAIN, "aug.train.transforms.0.sigma=-1"], ["sigma=-1"]),
    "precision": ([*TRAIN, "trainer.precision=fp16"], ["trainer.precision=fp16"]),
    "device": ([*TRAIN, "trainer.accelerator=tpu"], ["trainer=auto", "torch_xla"]),
    "negative seed": (["seed=-1"], ["seed=-1"]),
    "learning rate": ([*TRAIN, "schedule.optimizer.lr=fast"], ["schedule.optimizer.lr=fast"]),
    "number of images": (
        ["data=simulated", "simulation.train=lots", "paths.datasets=out/sets"],
        ["simulation.train=lots"],
    ),
    # Found in the data
    "no data set": (
        ["data=progan_20cls", "paths.train=nowhere", "model.backbone.weights=null"],
        [
            *("nowhere", "python run.py task=download data=progan_20cls", "75.8 GB to transfer"),
            *("GB are free in ", "data=simulated works without"),
        ],
    ),
    "no test set": (
        [*TEST, "data=progan_20cls", "generator=progan", "paths.test=nowhere"],
        ["progan", "20.1 GB", "nowhere"],
    ),
    "test set without a path": (TEST, ["test_set.path=PATH"]),
    "folder without images": ([*TEST, "test_set.path=half"], ["half", "no images"]),
    "no checkpoint named": (["task=test"], ["checkpoint=PATH"]),
    "unused test set": ([*TEST, "generator=[sitd]", "test_set.path=whole"], ["generator=folder"]),
    "generator without a path": ([*TEST, "~generator.folder.path"], ["folder.path"]),
    "classes that are a word": (
        [*TEST, "test_set.path=whole", "generator.folder.classes=cat"],
        ["classes=cat"],
    ),
    "no generator": ([*TEST, "generator=[]"], ["generator="]),
    "no inputs": (PREDICT, ["inputs=PHOTO_OR_FOLDER"]),
    # Found in folders
    "folder of another prediction": (
        [*PREDICT, "inputs=whole", "hydra.run.dir=predicted"],
        ["predicted holds a prediction with other settings", "hydra.run.dir=PATH"],
    ),
    "data folder below a file": (
        ["data=simulated", "paths.datasets=run.txt/data", "model.backbone.weights=null"],
        ["run.txt", "paths.datasets=PATH"],
    ),
    "file in place of a run folder": (
        ["hydra.run.dir=run.txt"],
        ["no folder can be made of", "run.txt", "hydra.run.dir=PATH"],
    ),
    "folder in place of a run's log": (
        ["hydra.run.dir=logless"],
        ["is a directory", "genspot.log", "hydra.run.dir=PATH"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_gets_one_line(
    mistake: str, run: CliRunner, trained: Path, tmp_path: Path
) -> None:
    overrides, expected = MISTAKES[mistake]
    (tmp_path / "half" / "1_fake").mkdir(parents=True)
    (tmp_path / "run.txt").touch()
    (tmp_path / "own" / "generator").mkdir(parents=True)
    for name, encoding in (("latin", "latin-1"), ("wide", "utf-16")):
        file = tmp_path / "own" / "generator" / f"{name}.yaml"
        file.write_text("own: {path: é}", encoding)
    save_set(tmp_path / "whole", 2, 2)
    (tmp_path / "logless" / "genspot.log").mkdir(parents=True)
    (tmp_path / "predicted").mkdir()
    for name in ("config.yaml", "predictions.csv"):
        (tmp_path / "predicted" / name).touch()
    overrides = [one.replace("CHECKPOINT", str(trained / "best.ckpt")) for one in overrides]
    settings = [f"hydra.run.dir={tmp_path}/out", "workers=0"]
    if "task=predict" not in overrides:  # which has no logger, and says so
        settings.append("logger=none")
    result = run(*settings, *overrides, cwd=tmp_path)
    assert result.returncode == 1
    # A loop that reads shows its progress bar before it finds out.
    (line,) = [line for line in result.stderr.splitlines() if line.strip() and "it/s" not in line]
    assert line.startswith("genspot: ")
    for text in expected:
        assert text in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("plugin", "installed_by"),
    [
        (["hydra/launcher=submitit_slurm", "hydra.launcher.partition=x"], SLURM),
        (["hydra/launcher=submitit_local", "-m"], SLURM),
        (["hydra/launcher=ray", "-m"], "make ray"),
        (["hydra/sweeper=optuna", "-m"], "'genspot[optuna]' (in a checkout: make optuna)"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_plugin_that_is_not_installed_gets_one_line_that_says_how(
    plugin: list[str], installed_by: str, run: CliRunner, tmp_path: Path
) -> None:
    plugins = tmp_path / "before" / "hydra_plugins"  # hides those that are installed
    plugins.mkdir(parents=True)
    (plugins / "__init__.py").touch()
    result = run("seed=1", *plugin, cwd=tmp_path, PYTHONPATH=str(plugins.parent))
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"genspot: {plugin[0]} needs ")
    assert installed_by in line


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, "no space left on the disk of file; make room"),
        (errno.EDQUOT, "no space left on the disk of file"),
        (errno.EACCES, "permission denied: file; other places: hydra.run.dir=PATH"),
    ],
)
def test_system_error_says_what_was_refused_and_what_to_do(number: int, expected: str) -> None:
    error = OSError(number, os.strerror(number), "file")
    assert str(describe_os_error(error, Path("run"))).startswith(expected)


def test_killed_worker_is_one_line_with_what_to_do() -> None:
    error = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")
    message = str(describe_peer_loss(error))
    assert message.startswith("a process that reads images was lost (DataLoader worker (pid 7)")
    assert "workers=0" in message and "\n" not in message


def test_error_that_the_user_cannot_correct_is_raised_as_it_is() -> None:
    for describe, error in (
        (describe_os_error, OSError(errno.EIO, "Input/output error", "file")),
        (describe_start_error, ValueError("a bug")),
        (describe_peer_loss, RuntimeError("a bug")),
    ):
        with pytest.raises(type(error)) as raised:
            describe(error)  # type: ignore[operator]
        assert raised.value is error
