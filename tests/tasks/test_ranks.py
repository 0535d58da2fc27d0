"""One, two, three and four processes: the same rows, the same numbers, and no waiting for ever."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import pytorch_lightning as pl
import torch
from sklearn.metrics import average_precision_score

from conftest import ROOT, Run, save_set, tiny, with_model
from genspot.data.image_io import read
from genspot.data.index import scan
from genspot.data.samplers import ShuffledShare
from genspot.evaluation import calibration
from genspot.detector import precision as hardware
from genspot.evaluation import metrics
from genspot.detector.checkpoint import IMAGENET
from genspot.common.errors import GenspotError

LIMIT = 240  # seconds that any run here may take; a hang would take for ever


def launch(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """run.py in a session of its own, all processes of which are ended when time is up."""
    with subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *words],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"no end after {LIMIT} seconds: {' '.join(words)}")
        return subprocess.CompletedProcess(words, process.returncode, out, err)


def succeed(*words: str, folder: Path) -> str:
    """What a run into `folder`/run printed."""
    result = launch(*words, "workers=0", f"hydra.run.dir={folder}/run", cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_words(checkpoint: Path, images: Path) -> list[str]:
    """Two generators, the second smaller than most numbers of processes."""
    words = ["task=test", f"checkpoint={checkpoint}", "generator=[folder,sitd]", "name=mine"]
    return [*words, f"folder={images}/test", f"paths.test={images}/more", "trainer=ddp_cpu"]


test_words.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def uneven(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """15 images of one generator, one of them broken, and 2 of another."""
    folder = tmp_path_factory.mktemp("uneven")
    (folder / "test").symlink_to(sets / "test")
    save_set(folder / "more" / "seeingdark", 1, 1, seed=6)
    return folder


@pytest.fixture(scope="module")
def alone(run: Run, trained: Path, uneven: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    words = [*test_words(trained / "best.ckpt", uneven), "trainer=cpu", "workers=0"]
    result = run(*words, f"hydra.run.dir={folder}/run", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder / "run"


@pytest.mark.parametrize("ranks", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 4))])
def test_ranks_leave_the_same_rows_and_numbers(
    ranks: int, alone: Path, trained: Path, uneven: Path, tmp_path: Path
) -> None:
    words = [*test_words(trained / "best.ckpt", uneven), f"trainer.devices={ranks}"]
    printed = succeed(*words, "schedule.eval_batch_size=2", folder=tmp_path)
    one, some = (pq.read_table(folder / "scores.parquet") for folder in (alone, tmp_path / "run"))
    assert some.drop_columns("logit").equals(one.drop_columns("logit"))
    assert some.num_rows == len(set(some["path"].to_pylist())) == 16
    np.testing.assert_allclose(some["logit"], one["logit"], rtol=0, atol=1e-6)
    broken = [(folder / "unreadable.csv").read_text() for folder in (alone, tmp_path / "run")]
    assert broken[0] == broken[1]
    assert printed.count("95% interval") == 1
    found = json.loads((tmp_path / "run" / "metrics.json").read_text())
    again = metrics.evaluate(
        some,
        ["mine", "sitd"],
        **found["bootstrap"],
        seed=found["seed"],
        real_sets=found["real_sets"],
        fit=calibration.fit(pq.read_table(trained / "validation.parquet")),
    )
    for name, figures in again["generators"].items():
        assert {key: found["generators"][name][key] for key in figures} == figures
    assert {key: found["mean"][key] for key in again["mean"]} == again["mean"]


CONVOLUTION = """
name: convolution
network:
  _target_: torch.nn.Sequential
  _args_:
    - {_target_: torch.nn.Conv2d, in_channels: 3, out_channels: 8, kernel_size: 3}
    - {_target_: torch.nn.ReLU}
    - {_target_: torch.nn.AdaptiveAvgPool2d, output_size: 4}
    - {_target_: torch.nn.Flatten}
    - {_target_: torch.nn.Linear, in_features: 128, out_features: 1}
"""
NORMALISED = """
name: normalised
network:
  _target_: torch.nn.Sequential
  _args_:
    - {_target_: torch.nn.BatchNorm2d, num_features: 3}
    - {_target_: torch.nn.Flatten}
    - {_target_: torch.nn.Linear, in_features: 4800, out_features: 1}
"""


def described(text: str, sets: Path, folder: Path) -> list[str]:
    """A tiny training of the model that `text` describes."""
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "model" / "own.yaml").write_text(text)
    return with_model(tiny(sets), "own", folder)


def logged(folder: Path, name: str) -> list[float]:
    """What metrics.csv holds of a metric, in the order of the steps."""
    rows = csv.DictReader((folder / "run" / "metrics.csv").open())
    return [float(row[name]) for row in rows if row.get(name)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / "run" / "last.ckpt")["state_dict"]
    return state


# Both sides add the same float32 numbers in another order. After 20 steps of Adam the losses
# (about 0.7) were two units of the last place apart, 1.2e-7, and the weights 6e-8; the margins
# leave room for other processors. The weights have moved by thousandths.
def test_two_ranks_take_the_steps_of_one_with_twice_the_batch(sets: Path, tmp_path: Path) -> None:
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        words = [*described(CONVOLUTION, sets, folder), "schedule.max_epochs=5"]
        words += ["lightning.log_every_n_steps=1", "schedule.eval_batch_size=1"]
        words += [f"trainer={'cpu' if ranks == 1 else 'ddp_cpu'}"]
        succeed(*words, folder=folder)
    one, two = tmp_path / "1", tmp_path / "2"
    losses = logged(one, "train/loss")
    assert len(losses) == 20
    assert len(set(losses)) == 20
    np.testing.assert_allclose(logged(two, "train/loss"), losses, rtol=0, atol=2e-6)
    for name in ("val/loss", "val/acc", "val/ap"):
        assert logged(two, name) == pytest.approx(logged(one, name), abs=2e-6)
    before, after = weights(one), weights(two)
    assert before.keys() == after.keys()
    for key in before:
        torch.testing.assert_close(after[key], before[key], rtol=0, atol=2e-6)


@pytest.mark.slow
def test_batch_norm_keeps_the_statistics_of_the_first_ranks_share(tmp_path: Path) -> None:
    """One step: the running mean is a tenth of the mean over what it was taken of."""
    for split, images in (("train", 4), ("val", 2), ("test", 1)):
        save_set(tmp_path / split, images, images, seed=len(split))
    words = [*described(NORMALISED, tmp_path, tmp_path), "aug=none", "preprocess.crop=40"]
    words += ["data.classes=null", "schedule.max_epochs=1", "trainer=ddp_cpu"]
    succeed(*words, folder=tmp_path)
    rows = scan(tmp_path / "train", "folder", None)
    pixels = [np.asarray(read(path), np.float64) / 255 for path in rows["path"].to_pylist()]
    means = (np.mean(pixels, axis=(1, 2)) - IMAGENET["mean"]) / IMAGENET["std"]
    share = [row for _, row in ShuffledShare(8, seed=0, rank=0, world=2)]
    running = weights(tmp_path)["network.0.running_mean"].numpy()
    np.testing.assert_allclose(running, 0.1 * means[share].mean(0), rtol=0, atol=1e-6)
    assert np.abs(running - 0.1 * means.mean(0)).max() > 1e-4


@pytest.mark.slow
def test_fewer_images_than_ranks(tmp_path: Path) -> None:
    """Validation on a rank without images and one whose only image is broken; a test of two."""
    save_set(tmp_path / "train", 4, 4, seed=1)
    save_set(tmp_path / "val", 1, 1, seed=2)
    save_set(tmp_path / "test", 1, 1, seed=3)
    (tmp_path / "val" / "0_real" / "broken.png").write_bytes(b"no image")
    words = [*tiny(tmp_path), "data.classes=null", "aug=none", "preprocess.crop=40"]
    words += ["schedule.max_epochs=1", "trainer=ddp_cpu", "trainer.devices=4"]
    succeed(*words, folder=tmp_path)
    assert pq.read_table(tmp_path / "run" / "scores.parquet").num_rows == 2
    # The same images by the saved checkpoint: so every rank validated with the first's statistics.
    table = pq.read_table(tmp_path / "run" / "validation.parquet")
    labels, logits = (table[name].to_numpy().astype(np.float64) for name in ("label", "logit"))
    assert len(labels) == 2
    losses = np.logaddexp(0, np.where(labels == 1, -logits, logits))
    assert logged(tmp_path, "val/loss") == pytest.approx([losses.mean()], abs=1e-5)
    assert logged(tmp_path, "val/acc") == pytest.approx([np.mean((logits > 0) == labels)])
    ap = average_precision_score(labels, logits)
    assert logged(tmp_path, "val/ap") == pytest.approx([ap], abs=1e-6)
    words = ["task=predict", f"checkpoint={tmp_path}/run/best.ckpt", "trainer=ddp_cpu"]
    words += [f"inputs={tmp_path}/test/1_fake/000.png", "trainer.devices=4"]
    (tmp_path / "predict").mkdir()
    printed = succeed(*words, folder=tmp_path / "predict")
    (row,) = csv.DictReader((tmp_path / "predict" / "run" / "predictions.csv").open())
    (fake,) = pq.read_table(tmp_path / "run" / "scores.parquet").to_pylist()[1:]
    assert row["path"] == fake["path"]
    assert float(row["logit"]) == pytest.approx(fake["logit"], abs=1e-6)
    assert printed.count("predictions:") == 1


@pytest.mark.slow
@pytest.mark.parametrize("broken", [True, False], ids=["nothing readable", "too few"])
def test_a_training_set_that_ranks_cannot_share_ends_in_one_line(
    broken: bool, tmp_path: Path
) -> None:
    for split in ("train", "val", "test"):
        save_set(tmp_path / split, 1, 1)
    if broken:
        for file in (tmp_path / "train").rglob("*.png"):
            file.write_bytes(b"no image")
    words = [*tiny(tmp_path), "data.classes=null", "workers=0", f"hydra.run.dir={tmp_path}/run"]
    words += ["trainer=ddp_cpu", "schedule.batch_size=6", f"trainer.devices={2 if broken else 3}"]
    result = launch(*words, cwd=tmp_path)
    assert result.returncode != 0
    wanted = "no readable image in a whole batch" if broken else "too few for 3 processes"
    assert wanted in result.stderr


@pytest.mark.parametrize(
    "started",
    [
        {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"},
        {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1"}
        | {"SLURM_JOB_NAME": "x", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"},
    ],
    ids=["torchrun", "slurm"],
)
def test_processes_that_the_trainer_does_not_know_of_are_refused(
    started: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in started.items():
        monkeypatch.setenv(name, value)
    plain = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    with pytest.raises(GenspotError, match=r"trainer\.devices"):
        hardware.refuse_misfits(pl.Trainer(devices=1, **plain), sync_batchnorm=False)
    fitting = pl.Trainer(devices=2, strategy="ddp", **plain)
    hardware.refuse_misfits(fitting, sync_batchnorm=False)


def test_synchronised_batch_norm_is_refused_on_cpus() -> None:
    plain = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    hardware.refuse_misfits(pl.Trainer(devices=1, **plain), sync_batchnorm=True)
    with pytest.raises(GenspotError, match="needs GPUs"):
        hardware.refuse_misfits(
            pl.Trainer(devices=2, strategy="ddp", **plain), sync_batchnorm=True
        )
