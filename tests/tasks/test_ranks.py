"""One, two, three and four processes: the same rows and the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from sklearn.metrics import average_precision_score

from helpers.cli_runner import CliRunner
from helpers.images import save_set
from helpers.runs import read_csv, read_metrics
from helpers.settings import SEARCH_PATH, tiny
from helpers.tasks import run_task

RANKS = ["trainer=ddp_cpu", "workers=0"]


def run_ranks(run: CliRunner, *overrides: str, folder: Path) -> str:
    """Run into `folder`/run, and return what was printed."""
    folder.mkdir(exist_ok=True)
    result = run(*overrides, f"hydra.run.dir={folder}/run", cwd=folder)
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


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_test_by_several_ranks_gives_the_same_rows_and_numbers(
    ranks: int, run: CliRunner, single: Path, trained: Path, images: Path, tmp_path: Path
) -> None:
    overrides = [*two_generators(trained / "best.ckpt", images), *RANKS]
    overrides += [f"trainer.devices={ranks}", "schedule.eval_batch_size=2"]
    printed = run_ranks(run, *overrides, folder=tmp_path)
    folder = tmp_path / "run"
    expected, scores = (pq.read_table(place / "scores.parquet") for place in (single, folder))
    assert scores.drop_columns("logit").equals(expected.drop_columns("logit"))
    assert scores.num_rows == len(set(scores["path"].to_pylist())) == 16
    np.testing.assert_allclose(scores["logit"], expected["logit"], rtol=0, atol=1e-6)
    assert (folder / "unreadable.csv").read_text() == (single / "unreadable.csv").read_text()
    assert printed.count("metrics: ") == 1  # by the first rank alone
    metrics, others = read_metrics(folder), read_metrics(single)
    for name, figures in others["generators"].items():
        for key in ("ap", "ap_interval", "acc_val_threshold", "images", "unreadable"):
            assert metrics["generators"][name][key] == pytest.approx(figures[key]), key


def curve(folder: Path, name: str) -> list[float]:
    """Return the values of a metric in metrics.csv, in the order of the steps."""
    return [float(row[name]) for row in read_csv(folder / "run" / "metrics.csv") if row.get(name)]


# Both add the same float32 numbers in another order. After 20 steps of Adam the losses (about
# 0.7) were two units in the last place apart, 1.2e-7, and the weights 6e-8; the tolerances leave
# room for other processors. The weights have moved by thousandths.
def test_two_ranks_take_the_steps_of_one_with_twice_the_batch(
    run: CliRunner, sets: Path, tmp_path: Path
) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    overrides = [*tiny(sets), "model=convolution", "schedule.max_epochs=5"]
    overrides += ["trainer.log_every_n_steps=1", "schedule.eval_batch_size=1"]
    run_task(*overrides, "workers=0", folder=one / "run")
    run_ranks(run, *overrides, *RANKS, folder=two)
    losses = curve(one, "train/loss")
    assert len(losses) == len(set(losses)) == 20
    np.testing.assert_allclose(curve(two, "train/loss"), losses, rtol=0, atol=2e-6)
    for name in ("val/loss", "val/acc", "val/ap"):
        assert curve(two, name) == pytest.approx(curve(one, name), abs=2e-6)
    expected, weights = (
        torch.load(folder / "run" / "last.ckpt", weights_only=True)["state_dict"]
        for folder in (one, two)
    )
    torch.testing.assert_close(weights, expected, rtol=0, atol=2e-6)


@pytest.mark.slow
def test_four_ranks_with_fewer_images_give_the_figures_of_all_images(
    run: CliRunner, tmp_path: Path
) -> None:
    """Validation on a rank without images and one with only a broken image; a test of two."""
    for number, (split, images) in enumerate([("train", 4), ("val", 1), ("test", 1)], 1):
        save_set(tmp_path / split, images, images, seed=number)
    (tmp_path / "val" / "0_real" / "broken.png").write_bytes(b"no image")
    ranks = [*RANKS, "trainer.devices=4"]
    overrides = [*tiny(tmp_path), "data.classes=null", "aug=none", "model.train.crop=40"]
    overrides += ["model.test.crop=40", "schedule.max_epochs=1"]
    run_ranks(run, *overrides, *ranks, folder=tmp_path)
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
    printed = run_ranks(run, *predict, folder=tmp_path / "predict")
    (row,) = read_csv(tmp_path / "predict" / "run" / "predictions.csv")
    assert float(row["logit"]) == pytest.approx(scores["logit"][1].as_py(), abs=1e-6)
    assert printed.count("predictions:") == 1
