"""One, two, three and four processes: the same rows and the same numbers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.metrics import average_precision_score

from genspot.data.image_io import read
from genspot.data.index import load_samples
from genspot.data.samplers import ResumableShuffleSampler
from genspot.evaluation import calibration
from genspot.evaluation.bootstrap import Bootstrap
from genspot.evaluation.metrics import evaluate
from helpers.images import save_set
from helpers.runs import read_csv, read_metrics
from helpers.settings import ROOT, SEARCH_PATH, tiny, with_model
from helpers.tasks import run_task

LIMIT_S = 240  # a run that hangs is ended then
PIXELS = "input: {name: pixels, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}"
HEAD = "  _target_: torch.nn.Sequential\n  _args_:"
CONVOLUTION = f"""
name: convolution
{PIXELS}
backbone:
{HEAD}
    - {{_target_: torch.nn.Conv2d, in_channels: 3, out_channels: 8, kernel_size: 3}}
    - {{_target_: torch.nn.ReLU}}
    - {{_target_: torch.nn.AdaptiveAvgPool2d, output_size: 4}}
    - {{_target_: torch.nn.Flatten}}
    - {{_target_: torch.nn.Linear, in_features: 128, out_features: 1}}
trainable: all
train: {{resize: null, crop: 32}}
test: {{resize: null, crop: 32}}
"""
BATCH_NORM = f"""
name: batch_norm
{PIXELS}
backbone:
{HEAD}
    - {{_target_: torch.nn.BatchNorm2d, num_features: 3}}
    - {{_target_: torch.nn.Flatten}}
    - {{_target_: torch.nn.Linear, in_features: 4800, out_features: 1}}
trainable: all
train: {{resize: null, crop: 40}}
test: {{resize: null, crop: 40}}
"""


def launch(*overrides: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Call run.py in a session of its own, all processes of which end after `LIMIT_S`."""
    with subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *overrides],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.fail(f"no end after {LIMIT_S} seconds: {' '.join(overrides)}")
        return subprocess.CompletedProcess(overrides, process.returncode, out, err)


def run_ranks(*overrides: str, folder: Path) -> str:
    """Run into `folder`/run, and return what was printed."""
    folder.mkdir(parents=True, exist_ok=True)
    result = launch(*overrides, "workers=0", f"hydra.run.dir={folder}/run", cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout


def two_generators(checkpoint: Path, images: Path) -> list[str]:
    """Return the overrides of a test on two generators, the second with two images."""
    overrides = ["task=test", f"checkpoint={checkpoint}", "generator=[folder,sitd]", SEARCH_PATH]
    overrides += [f"test_set={{path: {images}/test, name: mine}}", f"paths.test={images}/more"]
    return overrides


@pytest.fixture(scope="module")
def images(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """15 images of one generator, one of them broken, and 2 of another."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "test").symlink_to(sets / "test")
    save_set(folder / "more" / "seeingdark", 1, 1, seed=6)
    return folder


@pytest.fixture(scope="module")
def single(trained: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the test by one process."""
    overrides = [*two_generators(trained / "best.ckpt", images), "trainer=cpu", "workers=0"]
    return run_task(*overrides, folder=tmp_path_factory.mktemp("single") / "run")


@pytest.mark.parametrize("ranks", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 4))])
def test_test_by_several_ranks_gives_the_same_rows_and_numbers(
    ranks: int, single: Path, trained: Path, images: Path, tmp_path: Path
) -> None:
    overrides = [*two_generators(trained / "best.ckpt", images), "trainer=ddp_cpu"]
    overrides += [f"trainer.devices={ranks}", "schedule.eval_batch_size=2"]
    printed = run_ranks(*overrides, folder=tmp_path)
    run = tmp_path / "run"
    expected, scores = (pq.read_table(folder / "scores.parquet") for folder in (single, run))
    assert scores.drop_columns("logit").equals(expected.drop_columns("logit"))
    assert scores.num_rows == len(set(scores["path"].to_pylist())) == 16
    np.testing.assert_allclose(scores["logit"], expected["logit"], rtol=0, atol=1e-6)
    assert (run / "unreadable.csv").read_text() == (single / "unreadable.csv").read_text()
    assert printed.count("metrics: ") == 1  # by the first rank alone
    metrics = read_metrics(run)
    again = evaluate(
        scores,
        ["mine", "sitd"],
        Bootstrap(**metrics["bootstrap"], seed=metrics["seed"]),
        real_sets=metrics["real_sets"],
        fit=calibration.fit(pq.read_table(trained / "validation.parquet")),
    )
    again = json.loads(json.dumps(again))
    for name, figures in again["generators"].items():
        assert {key: metrics["generators"][name][key] for key in figures} == figures
    assert {key: metrics["mean"][key] for key in again["mean"]} == again["mean"]


def own_model(text: str, sets: Path, folder: Path) -> list[str]:
    """Return the overrides of a tiny training of the model that the YAML `text` describes."""
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "model" / "own.yaml").write_text(text)
    return with_model(tiny(sets), "own", folder)


def curve(folder: Path, name: str) -> list[float]:
    """Return the values of a metric in metrics.csv, in the order of the steps."""
    return [float(row[name]) for row in read_csv(folder / "run" / "metrics.csv") if row.get(name)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(folder / "run" / "last.ckpt", weights_only=True)
    state: dict[str, torch.Tensor] = checkpoint["state_dict"]
    return state


# Both add the same float32 numbers in another order. After 20 steps of Adam the losses (about
# 0.7) were two units in the last place apart, 1.2e-7, and the weights 6e-8; the tolerances leave
# room for other processors. The weights have moved by thousandths.
def test_two_ranks_take_the_steps_of_one_with_twice_the_batch(sets: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    for folder, trainer in ((one, "cpu"), (two, "ddp_cpu")):
        overrides = [*own_model(CONVOLUTION, sets, folder), "schedule.max_epochs=5"]
        overrides += ["trainer.log_every_n_steps=1", "schedule.eval_batch_size=1"]
        run_ranks(*overrides, f"trainer={trainer}", folder=folder)
    losses = curve(one, "train/loss")
    assert len(losses) == len(set(losses)) == 20
    np.testing.assert_allclose(curve(two, "train/loss"), losses, rtol=0, atol=2e-6)
    for name in ("val/loss", "val/acc", "val/ap"):
        assert curve(two, name) == pytest.approx(curve(one, name), abs=2e-6)
    expected, actual = weights(one), weights(two)
    assert actual.keys() == expected.keys()
    for key in expected:
        torch.testing.assert_close(actual[key], expected[key], rtol=0, atol=2e-6)


@pytest.mark.slow
def test_batch_norm_keeps_the_statistics_of_the_first_rank(tmp_path: Path) -> None:
    """After one step the running mean is a tenth of the mean of that rank's images."""
    for split, images in (("train", 4), ("val", 2), ("test", 1)):
        save_set(tmp_path / split, images, images, seed=len(split))
    overrides = [*own_model(BATCH_NORM, tmp_path, tmp_path), "aug=none", "data.classes=null"]
    run_ranks(*overrides, "schedule.max_epochs=1", "trainer=ddp_cpu", folder=tmp_path)
    paths = load_samples(tmp_path / "train", "folder", None)["path"].to_pylist()
    pixels = [np.asarray(read(path), np.float64) / 255 for path in paths]
    normalised = (np.mean(pixels, axis=(1, 2)) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    rows = [row for _, row in ResumableShuffleSampler(8, seed=0, rank=0, world_size=2)]
    (key,) = [key for key in weights(tmp_path) if key.endswith("running_mean")]
    running = weights(tmp_path)[key].numpy()
    np.testing.assert_allclose(running, 0.1 * normalised[rows].mean(0), rtol=0, atol=1e-6)
    assert np.abs(running - 0.1 * normalised.mean(0)).max() > 1e-4


@pytest.mark.slow
def test_four_ranks_with_fewer_images_give_the_figures_of_all_images(tmp_path: Path) -> None:
    """Validation on a rank without images and one with only a broken image; a test of two."""
    save_set(tmp_path / "train", 4, 4, seed=1)
    save_set(tmp_path / "val", 1, 1, seed=2)
    save_set(tmp_path / "test", 1, 1, seed=3)
    (tmp_path / "val" / "0_real" / "broken.png").write_bytes(b"no image")
    ranks = ["trainer=ddp_cpu", "trainer.devices=4"]
    overrides = [*tiny(tmp_path), "data.classes=null", "aug=none", "model.train.crop=40"]
    overrides += ["model.test.crop=40", "schedule.max_epochs=1"]
    run_ranks(*overrides, *ranks, folder=tmp_path)
    scores = pq.read_table(tmp_path / "run" / "scores.parquet")
    assert scores.num_rows == 2
    # The saved checkpoint scores the same images: all ranks validated with the first's statistics.
    table = pq.read_table(tmp_path / "run" / "validation.parquet")
    labels, logits = (table[name].to_numpy().astype(np.float64) for name in ("label", "logit"))
    assert len(labels) == 2
    losses = np.logaddexp(0, np.where(labels == 1, -logits, logits))
    assert curve(tmp_path, "val/loss") == pytest.approx([losses.mean()], abs=1e-5)
    assert curve(tmp_path, "val/acc") == pytest.approx([np.mean((logits > 0) == labels)])
    ap = average_precision_score(labels, logits)
    assert curve(tmp_path, "val/ap") == pytest.approx([ap], abs=1e-6)
    predict = ["task=predict", f"checkpoint={tmp_path}/run/best.ckpt", SEARCH_PATH, *ranks]
    predict.append(f"inputs={tmp_path}/test/1_fake/000.png")
    printed = run_ranks(*predict, folder=tmp_path / "predict")
    (row,) = read_csv(tmp_path / "predict" / "run" / "predictions.csv")
    (fake,) = scores.to_pylist()[1:]
    assert row["path"] == fake["path"]
    assert float(row["logit"]) == pytest.approx(fake["logit"], abs=1e-6)
    assert printed.count("predictions:") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ranks", "expected"),
    [(2, "no readable image in a whole batch"), (3, "too few for 3 processes")],
)
def test_training_set_that_ranks_cannot_share_ends_with_one_line(
    ranks: int, expected: str, tmp_path: Path
) -> None:
    for split in ("train", "val", "test"):
        save_set(tmp_path / split, 1, 1)
    if ranks == 2:
        for file in (tmp_path / "train").rglob("*.png"):
            file.write_bytes(b"no image")
    overrides = [*tiny(tmp_path), "data.classes=null", "schedule.batch_size=6", "trainer=ddp_cpu"]
    overrides += [f"trainer.devices={ranks}", f"hydra.run.dir={tmp_path}/run"]
    result = launch(*overrides, cwd=tmp_path)
    assert result.returncode != 0
    assert expected in result.stderr
