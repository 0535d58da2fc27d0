"""One clear line for each mistake, on the command line."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from genspot.common.errors import GenspotError
from genspot.tasks.error_messages import (
    describe_folder_error,
    describe_os_error,
    describe_peer_loss,
    format_error,
)
from helpers.cli_runner import CliRunner
from helpers.images import save_set
from helpers.settings import SEARCH_PATH

SETS = ["data=folder", "data.train=whole", "data.val=whole", "test_set.path=whole", "workers=0"]
MODEL = [SEARCH_PATH, "model=small"]
CHECKPOINT = ["checkpoint=CHECKPOINT", SEARCH_PATH, "workers=0"]
TEST = ["task=test", "generator=folder", *CHECKPOINT]
PREDICT = ["task=predict", *CHECKPOINT]
MISTAKES = {
    # Found by Hydra
    "unknown generator": (["generator=[sitdd]"], ["sitdd", "did you mean 'sitd'"]),
    "unknown data set": (["data=progan_20cl"], ["did you mean 'progan_20cls'"]),
    "unknown study": (["experiments=quickstar"], ["did you mean 'quickstart'"]),
    "misspelt key": (["trainer.precison=32"], ["trainer.precison", "did you mean 'precision'"]),
    "misspelt group": (["agu=none"], ["agu", "did you mean 'aug'"]),
    "misspelt studies": (["experiment=quickstart"], ["did you mean 'experiments'"]),
    "end of a key": (["optimizer.lr=1"], ["did you mean 'schedule.optimizer.lr'"]),
    "last part of a key": (["max_epochs=1"], ["did you mean 'schedule.max_epochs'"]),
    "unclosed bracket": (["generator=[sitd"], ["[sitd", "special characters"]),
    "path with an equals sign": (["test_set.path=my set=1"], ["my set=1", "'a value'"]),
    "generators without brackets": (["generator=sitd,san"], ["generator=[sitd,san]"]),
    "missing value": (["data=folder"], ["data.train"]),
    # Found by a constructor, the trainer, a task
    "augmentation": ([*SETS, *MODEL, "aug.train.transforms.0.sigma=-1"], ["sigma=-1"]),
    "precision": (
        [*SETS, *MODEL, "trainer.precision=fp16"],
        ["fp16", "bf16-mixed", "leave out what was changed of trainer.*"],
    ),
    "device": ([*SETS, *MODEL, "trainer.accelerator=tpu"], ["trainer=auto", "torch_xla"]),
    "negative seed": (["seed=-1"], ["seed=-1"]),
    "no epochs": ([*SETS, *MODEL, "schedule.max_epochs=0"], ["schedule.max_epochs=0"]),
    "empty batch": ([*SETS, *MODEL, "schedule.batch_size=0"], ["schedule.batch_size=0"]),
    "crop": ([*TEST, "test_set.path=whole", "crop=big"], ["crop=big"]),
    "data format": ([*SETS, "data.format=zip"], ["data.format=zip", "files or packed"]),
    "number of images": (
        ["data=simulated", "simulation.train=lots", "paths.datasets=out/sets"],
        ["simulation.train=lots"],
    ),
    # Found in the data
    "no data set": (
        ["data=progan_20cls", "paths.train=nowhere", "model.backbone.weights=null"],
        ["nowhere", "74.7 GB", "sywang/CNNDetection", "data=simulated works without"],
    ),
    "no test set": (
        [*TEST, "data=progan_20cls", "generator=progan", "paths.test=nowhere"],
        ["progan", "20.1 GB", "nowhere"],
    ),
    "test set without a path": (TEST, ["test_set.path=PATH"]),
    "folder without 0_real": ([*TEST, "test_set.path=half"], ["half", "0_real"]),
    "no checkpoint named": (["task=test"], ["checkpoint=PATH"]),
    "file that is no checkpoint": (
        ["task=predict", "inputs=.", "checkpoint=run.txt"],
        ["run.txt"],
    ),
    "no generator": ([*TEST, "generator=[]"], ["generator="]),
    "no inputs": (PREDICT, ["inputs=PHOTO_OR_FOLDER"]),
    "missing inputs": ([*PREDICT, "inputs=no.png"], ["no.png", "no such file"]),
    # Found in folders
    "folder of another prediction": (
        [*PREDICT, "inputs=whole", "hydra.run.dir=predicted"],
        ["predicted holds a prediction with other settings", "hydra.run.dir=PATH"],
    ),
    "run folder below a file": (
        ["hydra.run.dir=run.txt/run"],
        ["not a directory", "run.txt/run", "paths.runs=PATH"],
    ),
    "data folder below a file": (
        ["data=simulated", "paths.datasets=run.txt/data", "model.backbone.weights=null"],
        ["run.txt", "paths.datasets=PATH"],
    ),
    "file in place of a run folder": (
        ["hydra.run.dir=run.txt"],
        ["no folder can be made of", "run.txt", "hydra.run.dir=PATH"],
    ),
    "broken link in place of a run folder": (
        ["hydra.run.dir=broken"],
        ["no folder can be made of", "broken", "hydra.run.dir=PATH"],
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
    (tmp_path / "run.txt").write_text("no checkpoint")
    save_set(tmp_path / "whole", 2, 2)
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "logless" / "genspot.log").mkdir(parents=True)
    (tmp_path / "predicted").mkdir()
    for name in ("config.yaml", "predictions.csv"):
        (tmp_path / "predicted" / name).touch()
    overrides = [one.replace("CHECKPOINT", str(trained / "best.ckpt")) for one in overrides]
    result = run(f"hydra.run.dir={tmp_path}/out", "logger=none", *overrides, cwd=tmp_path)
    assert result.returncode == 1
    # A loop that reads shows its progress bar before it finds out.
    lines = [line for line in result.stderr.splitlines() if line.strip() and "it/s" not in line]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("genspot: ")
    for text in expected:
        assert text in lines[0]
    assert not (tmp_path / "out").exists() or any((tmp_path / "out").glob("*.yaml"))


def test_own_error_in_the_chain_of_another_is_the_message() -> None:
    try:
        try:
            raise GenspotError("seed=-1: give a number from 0 on")
        except GenspotError:
            raise KeyError("resolver")  # noqa: B904
    except KeyError as error:
        assert format_error(error) == "seed=-1: give a number from 0 on"


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, "no space left on the disk of file; make room: the same command, into run"),
        (errno.EDQUOT, "no space left on the disk of file"),
        (errno.EACCES, "permission denied: file; other places: hydra.run.dir=PATH"),
        (errno.EROFS, "read-only file system: file; other places"),
    ],
)
def test_system_error_says_what_was_refused_and_what_to_do(number: int, expected: str) -> None:
    error = OSError(number, "", "file")
    error.strerror = {errno.EACCES: "Permission denied", errno.EROFS: "Read-only file system"}.get(
        number, ""
    )
    assert str(describe_os_error(error, Path("run"))).startswith(expected)


def test_error_that_the_user_cannot_correct_is_raised_as_it_is() -> None:
    for describe, error in (
        (describe_os_error, OSError(errno.EIO, "Input/output error", "file")),
        (describe_folder_error, ValueError("a bug")),
        (describe_peer_loss, RuntimeError("a bug")),
    ):
        with pytest.raises(type(error)) as raised:
            describe(error)  # type: ignore[operator]
        assert raised.value is error


def test_lost_rank_is_described_in_one_line() -> None:
    line = str(describe_peer_loss(RuntimeError("[gloo/transport] Connection\nclosed by peer")))
    assert line.startswith("another process of this run was lost ([gloo/transport] Connection c")
    assert "\n" not in line
