"""Interrupted trainings go on to the same bits, and nothing that was saved is lost."""

from __future__ import annotations

import csv
import json
import logging
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import CSVLogger

from conftest import ROOT, Run, tiny
from genspot.data.index import scan
from genspot.data.samplers import ShuffledShare
from genspot.detector import safe_load as archives
from genspot.detector import callbacks as guards
from genspot.detector import resume
from genspot.common.errors import GenspotError
from genspot.detector.resume import RenamedCheckpointIO, find
from genspot.runtime.run_folder import LAST_WRITTEN, finished, keep_config

# Of a finished run; the report also names the folder.
SAME = ("scores.parquet", "validation.parquet", "unreadable.csv", "metrics.csv")


def signalled(name: str, epoch: int, batch: int, folder: Path) -> list[str]:
    where = f"epoch: {epoch}, batch: {batch}, mark: '{folder}/sent'"
    return [f"+schedule.callbacks.signal={{_target_: signals.SignalOnce, name: {name}, {where}}}"]


def assert_same_results(one: Path, other: Path) -> None:
    for name in SAME:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert (one / LAST_WRITTEN).is_file()
    states = [torch.load(folder / "last.ckpt", weights_only=True) for folder in (one, other)]
    assert states[0]["global_step"] == states[1]["global_step"]
    for mine, theirs in zip(*(state["state_dict"].values() for state in states), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGKILL", -9)])
def test_an_interrupted_training_goes_on_to_the_same_bits(
    name: str, code: int, run: Run, sets: Path, trained: Path, tmp_path: Path
) -> None:
    """SIGTERM saves the very step; after SIGKILL the last epoch's checkpoint is truncated too."""
    words = [*tiny(sets), "workers=0", f"hydra.run.dir={tmp_path}/run"]
    words += signalled(name, epoch=1, batch=1, folder=tmp_path)
    first = run(*words, cwd=tmp_path, PYTHONPATH=str(ROOT / "tests"))
    assert first.returncode == code, first.stderr
    assert "Traceback" not in first.stderr
    last = tmp_path / "run" / "last.ckpt"
    state = torch.load(last, weights_only=True)
    steps = len(ShuffledShare(34, 0)) // 8
    assert state["global_step"] == steps + (2 if name != "SIGKILL" else 0)
    if name != "SIGKILL":
        assert f"stopped by {name}" in first.stderr
        assert "the same command" in first.stderr
        assert f"stopped by {name}" in (tmp_path / "run" / "genspot.log").read_text()
    if name == "SIGTERM":
        shutil.copy(last, tmp_path / "run" / "previous.ckpt")
        last.write_bytes(last.read_bytes()[:-1000])
    again = run(*words, cwd=tmp_path, PYTHONPATH=str(ROOT / "tests"))
    assert again.returncode == 0, again.stderr
    assert ("last.ckpt is damaged" in again.stdout) == (name == "SIGTERM")
    assert "going on from" in again.stdout
    assert_same_results(tmp_path / "run", trained)
    assert not list((tmp_path / "run").glob("*.partial"))


def test_a_loss_that_is_not_finite_stops_the_run_and_names_its_images(
    run: Run, sets: Path, tmp_path: Path
) -> None:
    words = [*tiny(sets), "workers=0", f"hydra.run.dir={tmp_path}/run"]
    words += ["+schedule.callbacks.harm={_target_: signals.Infinite, epoch: 1, batch: 2}"]
    result = run(*words, cwd=tmp_path, PYTHONPATH=str(ROOT / "tests"))
    assert result.returncode == 1
    (line,) = [line for line in result.stderr.splitlines() if "genspot: " in line]
    assert "not finite at step 6 (epoch 1)" in line
    listed = [row["path"] for row in csv.DictReader((tmp_path / "run/not_finite.csv").open())]
    paths = scan(sets / "train", "folder", "any")["path"].to_pylist()
    share = ShuffledShare(len(paths), 0)
    share.set_epoch(1)
    drawn = [row for _, row in share][16:24]
    # The torn image is stood in for by the next.
    assert listed == [paths[row + paths[row].endswith("torn.png")] for row in drawn]
    assert archives.damage(tmp_path / "run" / "last.ckpt") is None
    weights = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.isfinite(value).all() for value in weights.values())


def test_in_float16_the_loss_is_watched_and_gradients_are_left_to_the_scaler(
    tmp_path: Path,
) -> None:
    strategy = SimpleNamespace(reduce_boolean_decision=lambda own, all: own)
    trainer: Any = SimpleNamespace(precision="16-mixed", strategy=strategy, is_global_zero=True)
    trainer.global_step, trainer.current_epoch = 7, 1
    trainer.datamodule = SimpleNamespace(tables={"train": pa.table({"path": ["a", "b", "c"]})})
    module: Any = torch.nn.Linear(1, 1)
    module.weight.grad = torch.full((1, 1), torch.inf)
    guard = guards.Finite(tmp_path)
    guard.on_train_batch_start(trainer, module, {"row": torch.tensor([2, 0])}, 0)
    guard.on_before_backward(trainer, module, torch.tensor(0.7 * 65536))
    guard.on_before_optimizer_step(trainer, module, torch.optim.SGD(module.parameters()))
    guard.on_before_backward(trainer, module, torch.tensor(torch.nan))
    with pytest.raises(GenspotError, match="not finite at step 7"):
        guard.on_before_optimizer_step(trainer, module, torch.optim.SGD(module.parameters()))
    rows = list(csv.DictReader((tmp_path / "not_finite.csv").open()))
    assert [row["path"] for row in rows] == ["c", "a"]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_a_share_goes_on_where_it_was(world: int) -> None:
    for rank in range(world):
        whole = ShuffledShare(50, 7, rank, world)
        whole.set_epoch(3)
        begun = ShuffledShare(50, 7, rank, world, epoch=3, done=6 * world)
        begun.set_epoch(3)
        assert list(begun) == list(whole)[6:]
        assert len(begun) == len(whole)  # Lightning counts a resumed epoch's steps from its start
        begun.set_epoch(4)
        whole.set_epoch(4)
        assert list(begun) == list(whole)


def test_checkpoints_are_renamed_into_place_and_the_last_two_kept(tmp_path: Path) -> None:
    io = RenamedCheckpointIO()
    for number in range(3):
        io.save_checkpoint({"number": number}, tmp_path / "last.ckpt")
    io.save_checkpoint({"number": 7}, tmp_path / "best.ckpt")
    read = {
        file.name: torch.load(file, weights_only=True)["number"] for file in tmp_path.iterdir()
    }
    assert read == {"last.ckpt": 2, "previous.ckpt": 1, "best.ckpt": 7}


def test_a_run_is_finished_when_its_last_file_is_there(trained: Path, tmp_path: Path) -> None:
    cfg = OmegaConf.load(trained / "config.yaml")
    assert isinstance(cfg, DictConfig)
    # Loggers go on for longer.
    left = {file for file in trained.rglob("*") if file.suffix not in (".log", ".csv")}
    files = sorted(filter(Path.is_file, left), key=lambda file: file.stat().st_mtime_ns)
    assert files[-1].name == LAST_WRITTEN
    for name in ("config.yaml", "metrics.json", "scores.parquet", "best.ckpt", LAST_WRITTEN):
        assert finished(tmp_path, cfg) is None
        shutil.copy(trained / name, tmp_path)
    assert finished(tmp_path, cfg) == json.loads((trained / "metrics.json").read_text())
    assert finished(tmp_path, OmegaConf.merge(cfg, {"resume": "never"})) is None


@pytest.mark.parametrize("left", ["metrics.json", "last.ckpt", "previous.ckpt"])
def test_a_folder_with_other_settings_is_not_gone_on_with(left: str, tmp_path: Path) -> None:
    def cfg(seed: int, choice: str = "auto") -> DictConfig:
        return OmegaConf.create({"seed": seed, "resume": choice})

    keep_config(tmp_path, cfg(1))
    (tmp_path / left).touch()
    with pytest.raises(GenspotError, match="with other settings; remove it"):
        keep_config(tmp_path, cfg(2))
    assert (tmp_path / left).is_file()
    keep_config(tmp_path, cfg(1))
    assert (tmp_path / left).is_file() == left.endswith(".ckpt")
    keep_config(tmp_path, cfg(2, "never"))  # checkpoints are then none to go on from
    assert not (tmp_path / left).exists()


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "flipped":
        with zipfile.ZipFile(path) as archive:  # inside a tensor, where PyTorch would not look
            entry = max(archive.infolist(), key=lambda one: one.file_size)
        content[entry.header_offset + 200 + entry.file_size // 2] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(b"")


@pytest.mark.parametrize("how", ["truncated", "flipped", "empty"])
def test_a_damaged_checkpoint_is_passed_over(
    how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert find(tmp_path, "auto") is None
    for number in range(2):
        content = {"weights": torch.full((5000,), float(number))}
        RenamedCheckpointIO().save_checkpoint(content, tmp_path / "last.ckpt")
    assert find(tmp_path, "auto") == tmp_path / "last.ckpt"
    assert find(tmp_path, "never") is None
    damage(tmp_path / "last.ckpt", how)
    with caplog.at_level(logging.WARNING):
        assert find(tmp_path, "auto") == tmp_path / "previous.ckpt"
    assert "last.ckpt is damaged" in caplog.text
    damage(tmp_path / "previous.ckpt", how)
    assert find(tmp_path, "auto") is None
    assert "beginning anew" in caplog.text
    with pytest.raises(GenspotError, match="choose auto or never"):
        find(tmp_path, "sometimes")


def test_curves_go_on_without_a_gap(tmp_path: Path) -> None:
    def log(first: int, last: int, logger: Any) -> None:
        for step in range(first, last):
            logger.log_metrics({"train/loss": 1 / (step + 1)}, step)
            if step % 4 == 3:
                logger.log_metrics({"val/acc": step / 20}, step)
        logger.save()

    for name in ("whole", "begun"):
        log(0, 20 if name == "whole" else 11, CSVLogger(tmp_path, name, ""))
    rows = resume.curves(tmp_path / "begun", steps=9)
    logger = CSVLogger(tmp_path, "begun", "")
    resume.put_back(rows, [logger])
    log(9, 20, logger)
    texts = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "begun")]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("torn", ["1", "0.5,", ",,", "\0\0\0", "x,y,z"])
def test_a_line_of_the_curves_that_is_torn_is_left_out(torn: str, tmp_path: Path) -> None:
    text = "step,train/loss,val/acc\n0,0.7,\n1,,0.5\n"
    (tmp_path / "metrics.csv").write_text(text + torn)
    assert [row["step"] for row in resume.curves(tmp_path, steps=9)] == ["0", "1"]
